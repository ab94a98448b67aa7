"""Plays the loop of the made-up company, with the product's own verbs and a clock that is set to the past."""

from __future__ import annotations

import csv
import re
import socket
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from functools import partial
from pathlib import Path
from typing import cast

from flask.testing import FlaskClient
from rich.console import Console
from rich.panel import Panel
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_loop import pipeline
from feedback_loop.accounts.models import Team, User
from feedback_loop.accounts.service import add_team, add_user, hash_password, one_time_password
from feedback_loop.actions.models import ActionItem, RoutingRule, Status
from feedback_loop.actions.service import add_comment, close, latest_closure, set_due, take_on
from feedback_loop.app import create_app
from feedback_loop.clock import utc_now
from feedback_loop.complaints.models import Complaint, Statement, StatementKind
from feedback_loop.db import make_engine, make_sessions, migrate, reading
from feedback_loop.demo import company
from feedback_loop.followups.models import Fixed
from feedback_loop.followups.queries import verdict_of
from feedback_loop.followups.service import record
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.responses.importing import import_answers
from feedback_loop.responses.models import Answer
from feedback_loop.settings import read_settings
from feedback_loop.supervisor import supervise
from feedback_loop.surveys.models import Survey
from feedback_loop.surveys.service import add_survey

ANSWERS = Path(__file__).parent / "answers.csv"
LOOKS = (32, 15, 0)  # days ago on which the company looked at what it had heard
MOST_RECENT = 1
ASKED = "nora.field@example.com"


class DemoFailed(RuntimeError):
    """The demo did not come out as it should; the message says at which stage."""


@dataclass
class SetClock:
    """A clock that shows what it is set to."""

    now: datetime

    def __call__(self) -> datetime:
        """What it shows."""
        return self.now


@dataclass
class Demo:
    """The company, ready to be looked at."""

    context: pipeline.Context
    clock: SetClock
    today: datetime
    environ: dict[str, str]
    password: str
    problem_of: dict[str, str]  # by external id of the sample answers

    def days_ago(self, days: float) -> datetime:
        """A moment before today."""
        return self.today - timedelta(days=days)


def demo_environ(folder: Path, bind: str) -> dict[str, str]:
    """Settings of the demo: everything in one folder, nothing leaves the machine."""
    return {
        "DATA_FOLDER": str(folder),
        "DATABASE_URL": "",
        "SECRET_KEY": "",
        "PUBLIC_URL": f"http://{bind}",
        "BIND": bind,
        "WEB_PROCESSES": "1",
        "COMPANY_NAME": company.NAME,
        "MAIL_TRANSPORT": "mailbox",
        "MAIL_FROM": company.MAIL_FROM,
        "HOLD_MINUTES": "0",
        "EMBEDDING_MODEL": "minilm",
        "RAW_TEXT_DAYS": "30",
        "REFINE_MINUTES": "1",
        "FOLLOW_UP_DAYS": "14",
    }


def build(folder: Path, bind: str, out: Console) -> Demo:
    """Make the company and play its ninety days.

    Args:
        folder: Empty; everything is kept in it.
        bind: Address and port the site will have.
        out: Told what happens.
    """
    environ = demo_environ(folder, bind)
    settings = read_settings(environ)
    engine = make_engine(settings.database_url)
    migrate(engine)
    today = utc_now().replace(microsecond=0)
    clock = SetClock(today - timedelta(days=LOOKS[0]))
    context = pipeline.Context(settings, make_sessions(engine), clock)
    password = one_time_password()
    demo = Demo(context, clock, today, environ, password, {})
    people(demo, hash_password(password))
    out.print("Surveys:     " + ", ".join(f"{name} ({scale.value})" for _, name, _, scale in company.SURVEYS))

    files = sample_files(demo, folder)
    events: list[tuple[float, Callable[[], None]]] = [
        (days, partial(hear, demo, days, files[days], out)) for days in LOOKS
    ]
    for story in company.STORIES:
        events.append((story.taken_on, partial(begin, demo, story)))
        if story.closing:
            events.append((story.closed, partial(finish, demo, story, out)))
    for days, happen in sorted(events, key=lambda event: -event[0]):
        clock.now = demo.days_ago(days)
        happen()
    pipeline.verdicts(context)
    return demo


def people(demo: Demo, password_hash: str) -> None:
    """Teams, people, surveys and routing rules."""
    now = demo.clock()
    with demo.context.sessions.begin() as session:
        teams = {name: add_team(session, name, now) for name in company.TEAMS}
        for person in company.PEOPLE:
            add_user(
                session,
                email=person.email,
                name=person.name,
                role=person.role,
                team=teams[person.team],
                password_hash=password_hash,
                must_change_password=False,
                now=now,
            )
        surveys = {
            slug: add_survey(session, slug=slug, name=name, question=question, scale=scale, now=now)
            for slug, name, question, scale in company.SURVEYS
        }
        for position, (keyword, slug, team) in enumerate(company.RULES):
            survey = surveys.get(slug)
            session.add(RoutingRule(position=position, keyword=keyword, survey=survey, team=teams[team]))


def sample_files(demo: Demo, folder: Path) -> dict[int, list[tuple[str, Path]]]:
    """Write the sample answers as import files.

    Returns:
        For each look (days ago) the surveys and their files of answers given since the look before.
    """
    rows: dict[tuple[int, str], list[dict[str, str]]] = {}
    with ANSWERS.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            days, hour = max(int(row.pop("days_ago")), MOST_RECENT), int(row.pop("hour"))
            demo.problem_of[row["external_id"]] = row.pop("problem")
            moment = demo.days_ago(days).replace(hour=hour, minute=hash_minute(row["external_id"]))
            look = max(look for look in LOOKS if look < days)
            rows.setdefault((look, row.pop("survey")), []).append({**row, "answered_at": moment.isoformat()})
    files: dict[int, list[tuple[str, Path]]] = {look: [] for look in LOOKS}
    for (look, slug), group in sorted(rows.items()):
        path = folder / f"{slug}-{look}.csv"
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(group[0]))
            writer.writeheader()
            writer.writerows(group)
        files[look].append((slug, path))
    return files


def hear(demo: Demo, days: int, files: list[tuple[str, Path]], out: Console) -> None:
    """Import what was answered since the last look, and understand it."""
    when = f"{days} days ago" if days else "today"
    out.print(f"Answers:     {import_files(demo, files):,} more by {when}")
    understand(demo, out)


def hash_minute(external_id: str) -> int:
    """Some minute of the hour, the same each time."""
    return int(re.sub(r"\D", "", external_id) or 0) * 37 % 60


def import_files(demo: Demo, files: list[tuple[str, Path]]) -> int:
    """Import sample answers.

    Raises:
        DemoFailed: A row was refused.
    """
    added = 0
    for slug, path in files:
        with reading(demo.context.sessions) as session:
            survey = session.scalars(select(Survey).where(Survey.slug == slug)).one()
        done = import_answers(demo.context.sessions, demo.context.settings, survey, path, demo.clock())
        if done.rejected:
            raise DemoFailed(f"{done.rejected} sample answers of {slug} were rejected.")
        added += done.added
    return added


def understand(demo: Demo, out: Console) -> None:
    """Analyse, refine, open action items."""
    pipeline.understand(demo.context)
    run = pipeline.refine_now(demo.context)
    if run is None:
        raise DemoFailed("There was nothing to refine.")
    with reading(demo.context.sessions) as session:
        counts = session.execute(
            select(Statement.kind, func.count()).where(Statement.position == 0).group_by(Statement.kind)
        )
        kinds = Counter(dict(counts.all()))
        items = session.scalar(select(func.count()).select_from(ActionItem))
    out.print(
        f"Understood:  {kinds[StatementKind.PROBLEM]} problems, {kinds[StatementKind.PRAISE]} praise, "
        f"{kinds[StatementKind.NON_ANSWER]} say nothing"
    )
    kept = "" if run.kept is None else f"; {run.kept:.0%} of earlier statements kept their complaint"
    out.print(
        f"Complaints:  {run.complaints} ({run.new_complaints} new), {run.coverage or 0:.0%} of problems covered{kept}; "
        f"{items} action items"
    )


def item_of(demo: Demo, session: Session, problem: str) -> ActionItem:
    """The action item of the complaint that holds most of a problem's sample answers.

    Raises:
        DemoFailed: No complaint holds three of them.
    """
    ids = [external_id for external_id, name in demo.problem_of.items() if name == problem]
    row = session.execute(
        select(Statement.complaint_id, func.count().label("said"))
        .join(Answer, Answer.id == Statement.answer_id)
        .where(Answer.external_id.in_(ids), Statement.complaint_id.is_not(None))
        .group_by(Statement.complaint_id)
        .order_by(func.count().desc(), Statement.complaint_id)
        .limit(1)
    ).first()
    if row is None or row.said < 3:
        raise DemoFailed(f"No complaint holds the answers about {problem}.")
    return session.scalars(select(ActionItem).where(ActionItem.complaint_id == row.complaint_id)).one()


def begin(demo: Demo, story: company.Story) -> None:
    """Somebody takes an item on."""
    with demo.context.sessions.begin() as session:
        item = item_of(demo, session, story.problem)
        owner = session.scalars(select(User).where(User.email == story.owner)).one()
        if item.status != Status.NEW:
            return
        if item.team_id != owner.team_id:
            item.team = session.get_one(Team, owner.team_id)
        take_on(session, item, owner, demo.clock())
        add_comment(session, item, story.comment, owner, demo.clock() + timedelta(hours=3))
        if story.due is not None:
            set_due(session, item, demo.days_ago(-story.due), owner, demo.clock() + timedelta(hours=3, minutes=5))


def finish(demo: Demo, story: company.Story, out: Console) -> None:
    """The item is closed, customers are told, and some of them answer."""
    assert story.closing is not None
    context = demo.context
    with context.sessions.begin() as session:
        item = item_of(demo, session, story.problem)
        if item.status not in (Status.NEW, Status.IN_PROGRESS):
            return
        owner = session.scalars(select(User).where(User.email == story.owner)).one()
        closure = close(session, item, story.closing, owner, demo.clock(), context.settings)
        name, event = item.complaint.name, closure.event
    sent = pipeline.send_mail(context)
    with reading(context.sessions) as session:
        told = session.scalars(
            select(Notification.id).where(Notification.event == event, Notification.state == NotificationState.SENT)
        ).all()
    answers = [(Fixed.YES, "")] * story.yes + [(Fixed.NO, comment) for comment in story.no]
    said = Counter[str]()
    for hours, (notification_id, (fixed, comment)) in enumerate(zip(told, answers, strict=False), 1):
        moment = min(demo.clock() + timedelta(hours=5 * hours), demo.today)
        with context.sessions.begin() as session:
            notification = session.get_one(Notification, notification_id)
            record(session, notification, fixed, comment, moment, context.settings)
        said[fixed.value] += 1
    with reading(context.sessions) as session:
        status = session.scalars(select(ActionItem.status).join(Complaint).where(Complaint.name == name)).first()
    words = ", ".join(f"{count} {word}" for word, count in sorted(said.items(), reverse=True)) or "no answer yet"
    outcome = story.closing.outcome.value
    out.print(f"Closed:      “{name}” ({outcome}), {sent} mails sent; {words} → {status.value if status else ''}")


def free_port(wanted: int = 8000) -> int:
    """The wanted port of the loopback interface, or the next one that is free."""
    for port in range(wanted, wanted + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise DemoFailed(f"No port from {wanted} to {wanted + 99} is free; choose one with --bind 127.0.0.1:PORT.")


@contextmanager
def demo_folder() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="feedback-loop-demo-") as folder:
        yield Path(folder)


def run_demo(out: Console, bind: str | None) -> int:
    """Build the company and serve it until Ctrl-C.

    Returns:
        The exit code.
    """
    address = bind or f"127.0.0.1:{free_port()}"
    with demo_folder() as folder:
        out.print(f"Making {company.NAME}, a company that does not exist …")
        demo = build(folder, address, out)
        url = demo.environ["PUBLIC_URL"]

        def announce() -> None:
            for _ in range(100):
                try:
                    urllib.request.urlopen(f"{url}/sign-in", timeout=2).close()  # noqa: S310 (our own address)
                    break
                except (urllib.error.URLError, OSError):
                    time.sleep(0.2)
            out.print(
                Panel(
                    f"Open      {url}\n"
                    f"Sign in   {company.LEAD.email}\nPassword  {demo.password}\n\n"
                    f"Admin     ada@fernhill.example, the same password\n"
                    f"Survey    {url}/s/help-centre\n"
                    f"Mailbox   {url}/demo/mailbox\n\n"
                    "The mailbox holds what customers got; nothing leaves this machine.\n"
                    "Ctrl-C stops the demo and removes everything.",
                    title=company.NAME,
                    expand=False,
                )
            )

        def ready() -> None:
            threading.Thread(target=announce, daemon=True).start()

        return supervise({"web": ["serve"], "worker": ["worker"]}, demo.environ, ready)


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
    """The item is closed by the form, and the customers are told.

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
