"""`demo --check`: the loop once more, through the pages, saying what was seen at each stage."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import cast

from flask.testing import FlaskClient
from rich.console import Console
from sqlalchemy import select

from feedback_loop import pipeline
from feedback_loop.actions.models import ActionItem, Status
from feedback_loop.actions.service import latest_closure
from feedback_loop.app import create_app
from feedback_loop.clock import utc_now
from feedback_loop.complaints.models import Statement
from feedback_loop.db import reading
from feedback_loop.demo.play import Demo, DemoFailed, build, demo_folder
from feedback_loop.followups.queries import verdict_of

READING = 1.1  # seconds; who sends sooner is taken for a program
ASKED = "nora.field@example.com"


def check_demo(out: Console) -> None:
    """Play everything, then walk through the site as customer, lead and owner; say what was seen at each stage.

    Raises:
        DemoFailed: Something was not as it should be.
    """
    with demo_folder() as folder:
        demo = build(folder, "127.0.0.1:8000", out)
        demo.context.clock = utc_now  # the pages go by the real clock, so the steps must, too
        walk(demo, out)
    out.print("Everything came out as it should.")


def expect(condition: object, stage: str) -> None:
    """Fail with the name of the stage unless the condition holds."""
    if not condition:
        raise DemoFailed(f"Not as it should be: {stage}.")


def walk(demo: Demo, out: Console) -> None:
    """The loop once more, through the pages: answer, understand, close, mail, “no”, reopened."""
    app = create_app(demo.context.settings, demo.context.sessions)
    app.config["WTF_CSRF_ENABLED"] = False  # the walk is no browser; the pages' tokens have tests of their own
    customer, staff = app.test_client(), app.test_client()
    item_id = walk_answer(demo, customer, out)
    walk_pages(demo, staff, item_id, out)
    statement = walk_close(demo, staff, item_id, out)
    walk_verdict(demo, customer, item_id, statement, out)
    page = staff.get(f"/actions/{item_id}").get_data(as_text=True)
    expect("Not fixed" in page, "the item's page says why it is back")


def walk_answer(demo: Demo, customer: FlaskClient, out: Console) -> int:
    """A customer answers, and the answer finds its complaint.

    Returns:
        The complaint's action item.
    """
    text = "The tracking page of my parcel has shown the same place for nine days."
    token = form_token(customer.get("/s/help-centre").get_data(as_text=True))
    data = {"score": "no", "comment": text, "email": ASKED, "form_token": token}
    time.sleep(READING)
    sent = customer.post("/s/help-centre", data=data)
    expect(sent.status_code == 303, "an answer is taken")
    expect("Set-Cookie" not in sent.headers, "customers get no cookie")
    out.print("Page:        a customer answered /s/help-centre, without cookie or account")
    expect(pipeline.understand(demo.context) > 0, "the new answer is analysed")
    with reading(demo.context.sessions) as session:
        said = session.scalars(select(Statement).where(Statement.text == text)).one()
        expect(said.complaint_id, "the new answer finds its complaint at once")
        item = session.scalars(select(ActionItem).where(ActionItem.complaint_id == said.complaint_id)).one()
        out.print(f"Assigned:    to C-{said.complaint_id} “{item.complaint.name}”: {said.reason}")
        return item.id


def walk_pages(demo: Demo, staff: FlaskClient, item_id: int, out: Console) -> None:
    """The admin looks around."""
    signed_in = staff.post("/sign-in", data={"email": "ada@fernhill.example", "password": demo.password})
    expect(signed_in.status_code == 302, "the admin signs in")
    with reading(demo.context.sessions) as session:
        number = session.get_one(ActionItem, item_id).complaint_id
    for path in ("/", "/complaints", f"/complaints/{number}", "/actions", f"/actions/{item_id}", "/surveys"):
        expect(staff.get(path).status_code == 200, f"the page {path} opens")
    out.print("Pages:       home, complaints, complaint, actions, action item and surveys open")


def walk_close(demo: Demo, staff: FlaskClient, item_id: int, out: Console) -> str:
    """The item is closed by the form, the run is reviewed and released, and the customers are told.

    Returns:
        What they were told.
    """
    closing = {
        "outcome": "fixed",
        "done": "The carrier's feed is read every ten minutes again.",
        "root_cause": "The feed's key had run out and nobody was told.",
        "statement": "We had stopped receiving the carrier's messages. Tracking is up to date again since today.",
    }
    closed = staff.post(f"/actions/{item_id}/close", data=closing)
    expect(closed.status_code in {302, 303}, "the item is closed by the form")
    expect(pipeline.send_mail(demo.context) == 0, "nothing is sent before the run is reviewed")
    review = staff.get(f"/actions/{item_id}/run").get_data(as_text=True)
    seen = re.search(r'name="seen" value="([^"]+)"', review)
    expect(seen, "the review shows who will be told")
    sent = staff.post(f"/actions/{item_id}/run/release", data={"seen": seen.group(1) if seen else ""})
    expect(sent.status_code in {302, 303}, "the run is released")
    count = pipeline.send_mail(demo.context)
    expect(count, "customers are told")
    mail = find_mail(demo.context.settings.mailbox_folder, ASKED)
    expect("same place for nine days" in " ".join(mail.split()), "the mail quotes the customer's own words")
    out.print(f"Closed:      {count} mails, each with the person's own words")
    return closing["statement"]


def walk_verdict(demo: Demo, customer: FlaskClient, item_id: int, statement: str, out: Console) -> None:
    """Customers say that it is not fixed, until the item is open again."""

    def status() -> Status:
        with reading(demo.context.sessions) as session:
            return session.get_one(ActionItem, item_id).status

    for noes, mail in enumerate(mails(demo.context.settings.mailbox_folder, statement), 1):
        found = re.search(r"http://127\.0\.0\.1:8000(/f/[^\s?]+)\?answer=no", mail)
        expect(found, "each mail asks whether it is fixed")
        path = cast("re.Match[str]", found).group(1)
        page = customer.get(f"{path}?answer=no").get_data(as_text=True)
        expect(status() == Status.CLOSED, "opening the link records nothing")
        data = {"answer": "no", "comment": "Still the same.", "form_token": form_token(page)}
        expect(customer.post(path, data=data).status_code == 303, "a “no” is taken")
        if status() == Status.REOPENED:
            with reading(demo.context.sessions) as session:
                closure = latest_closure(session, session.get_one(ActionItem, item_id))
                verdict = verdict_of(session, closure) if closure else None
                out.print(f"Reopened:    after {noes} “no”. {verdict.reason if verdict else ''}")
            return
    raise DemoFailed("Not as it should be: customers' “no” reopens the item.")


def form_token(page: str) -> str:
    """The token of the form on a public page."""
    found = re.search(r'name="form_token"[^>]*value="([^"]+)"', page)
    expect(found, "the page holds a form")
    return cast("re.Match[str]", found).group(1)


def mails(folder: Path, statement: str) -> Iterator[str]:
    """The plain texts of the mails that tell of one closing."""
    beginning = statement[:40]
    for path in sorted(folder.glob("*.eml")):
        body = message_from_bytes(path.read_bytes(), policy=policy.default).get_body(("plain",))
        text = body.get_content() if body else ""
        if beginning in " ".join(text.split()):
            yield text


def find_mail(folder: Path, address: str) -> str:
    """The plain text of the newest mail to an address."""
    for path in sorted(folder.glob("*.eml"), key=lambda path: path.stat().st_mtime, reverse=True):
        message = message_from_bytes(path.read_bytes(), policy=policy.default)
        if address in str(message["To"]):
            body = message.get_body(("plain",))
            return cast(str, body.get_content()) if body else ""
    raise DemoFailed(f"No mail to {address} in the mailbox.")
