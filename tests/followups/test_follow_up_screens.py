"""The page behind the two links of a mail: did this fix it?"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_loop.actions.models import Closure, Outcome
from feedback_loop.followups.models import Fixed, FollowUp
from feedback_loop.notifications.models import Notification
from feedback_loop.notifications.service import compose, token_of
from feedback_loop.settings import Settings
from tests.factories import Cast, Make
from tests.responses.test_answer_screens import send


class Told(NamedTuple):
    """One person who was told of a closing."""

    closure: Closure
    notification: Notification
    path: str


def tell(make: Make, cast: Cast, session: Session, settings: Settings, outcome: Outcome = Outcome.FIXED) -> Told:
    closure = make.closure(
        make.raised_item(3), cast.omar, outcome, statement="Two labels now.\n\nThe carrier scans both."
    )
    notification = session.scalars(select(Notification).order_by(Notification.id)).first()
    assert notification is not None
    make.sent(notification)
    session.commit()
    return Told(closure, notification, f"/f/{token_of(notification, settings)}")


@pytest.fixture
def told(make: Make, cast: Cast, session: Session, settings: Settings) -> Told:
    return tell(make, cast, session, settings)


@pytest.fixture
def declined(make: Make, cast: Cast, session: Session, settings: Settings) -> Told:
    return tell(make, cast, session, settings, Outcome.DECLINED)


def recorded(session: Session) -> int:
    session.rollback()
    count = session.scalar(select(func.count()).select_from(FollowUp)) or 0
    session.rollback()  # lets the database go, so that the next page can write
    return count


def test_shows_their_words_what_was_done_and_the_question(client: FlaskClient, told: Told) -> None:
    page = client.get(told.path)
    assert page.status_code == 200
    for text in (told.notification.data["quote"], "Two labels now.", "Did this fix it?", "What is still wrong?"):
        assert text in page.text
    assert f"Hello {told.notification.name}," in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["X-Robots-Tag"] == "noindex"
    assert "Set-Cookie" not in page.headers


def test_a_declined_closing_asks_an_honest_question(client: FlaskClient, declined: Told) -> None:
    page = client.get(declined.path)
    assert "Can you live with that?" in page.text
    assert "not going to change this" in page.text
    assert "fix it" not in page.text


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_a_link_preselects_and_records_nothing(client: FlaskClient, told: Told, session: Session, answer: str) -> None:
    page = client.get(f"{told.path}?answer={answer}")
    assert re.search(rf'value="{answer}"[^>]*checked', page.text)
    assert page.text.count(" checked") == 1
    assert recorded(session) == 0


def test_sending_records_and_says_what_happens_next(client: FlaskClient, told: Told, session: Session) -> None:
    sent = send(client, told.path, answer="no", comment="Still late. Call +44 20 7946 0958.")
    assert (sent.status_code, sent.location) == (303, f"{told.path}/thanks")
    follow_up = session.scalars(select(FollowUp)).one()
    assert (follow_up.fixed, follow_up.notification_id) == (Fixed.NO, told.notification.id)
    assert "Still late." in follow_up.comment
    assert "7946" not in follow_up.comment, "personal details are not stored"
    thanks = client.get(sent.location)
    assert "It is not fixed for you" in thanks.text
    assert "The team reads your answer and what you wrote." in thanks.text


def test_yes_is_thanked_for_differently(client: FlaskClient, told: Told) -> None:
    sent = send(client, told.path, answer="yes")
    assert "Good to hear" in client.get(sent.location).text


@pytest.mark.parametrize(("answer", "words"), [("yes", "we would rather have had better news"), ("no", "you disagree")])
def test_thanks_after_a_declined_closing_are_no_good_news(
    client: FlaskClient, declined: Told, answer: str, words: str
) -> None:
    page = client.get(send(client, declined.path, answer=answer, comment="It is too dear.").location)
    assert words in page.text
    assert "Good to hear" not in page.text


def test_the_same_link_changes_the_answer(client: FlaskClient, told: Told, session: Session) -> None:
    send(client, told.path, answer="yes", comment="Dry.")
    page = client.get(told.path)
    assert "You can change your answer here" in page.text
    assert re.search(r'value="yes"[^>]*checked', page.text)
    assert "Dry." in page.text
    send(client, told.path, answer="no", comment="Wet again.")
    assert recorded(session) == 1
    assert session.scalars(select(FollowUp)).one().fixed == Fixed.NO


@pytest.mark.parametrize("answer", ["", "maybe", "YES"])
def test_an_answer_is_needed(client: FlaskClient, told: Told, session: Session, answer: str) -> None:
    sent = send(client, f"{told.path}?answer=yes", answer=answer, comment="Well.")
    assert sent.status_code == 400
    assert '<a href="#answer">Choose one of the answers.</a>' in sent.text
    assert "Well." in sent.text
    assert " checked" not in sent.text
    assert recorded(session) == 0


def test_too_long_a_comment_is_refused_and_kept(client: FlaskClient, told: Told, session: Session) -> None:
    sent = send(client, told.path, answer="no", comment="x" * 4001)
    assert sent.status_code == 400
    assert "Your comment has 4,001 characters; at most 4,000 can be sent." in sent.text
    assert recorded(session) == 0


def test_an_aged_token_asks_for_one_more_press(client: FlaskClient, told: Told, session: Session) -> None:
    sent = send(client, told.path, answer="no", comment="Wet.", form_token="old")
    assert sent.status_code == 400
    assert "please press Send once more" in sent.text
    assert "Wet." in sent.text
    assert recorded(session) == 0


def test_thanks_before_an_answer_leads_to_the_question(client: FlaskClient, told: Told) -> None:
    assert client.get(f"{told.path}/thanks").location == told.path


@pytest.mark.parametrize("token", ["nothing", "%00", "preview"])
def test_an_unknown_link_is_explained(client: FlaskClient, token: str) -> None:
    for page in (client.get(f"/f/{token}"), client.post(f"/f/{token}"), client.get(f"/f/{token}/thanks")):
        assert page.status_code == 404
        assert "Open the mail again" in page.text


def test_a_message_that_asks_nothing_has_no_such_page(
    client: FlaskClient, make: Make, session: Session, settings: Settings
) -> None:
    notification = make.notification(event="newsletter:1")
    session.commit()
    assert client.get(f"/f/{token_of(notification, settings)}").status_code == 404


def test_a_withdrawn_closing_takes_no_answers(client: FlaskClient, told: Told, session: Session) -> None:
    told.closure.withdrawn_at = datetime.now(UTC)
    session.commit()
    for page in (client.get(told.path), client.post(told.path, data={"answer": "yes"})):
        assert page.status_code == 410
        assert "We are working on it again" in page.text
    assert recorded(session) == 0


def test_the_mail_says_what_was_done_in_their_words(told: Told, settings: Settings) -> None:
    mail = compose(told.notification, settings)
    assert mail.subject == "What we did about what you told us"
    for body in (mail.text, mail.html):
        for words in (
            f"Hello {told.notification.name},",
            told.notification.data["quote"],
            "Two labels now.",
            "Did this fix it?",
            "Fernhill Outdoor",
            f"http://localhost{told.path}?answer=yes",
            f"http://localhost{told.path}?answer=no",
            f"http://localhost{told.path.replace('/f/', '/u/')}",
        ):
            assert words in body
    assert "<img" not in mail.html
    assert "\n\n\n" not in mail.text


def test_the_mail_of_a_declined_closing_is_no_good_news(declined: Told, settings: Settings) -> None:
    mail = compose(declined.notification, settings)
    assert mail.subject == "What we decided about what you told us"
    for body in (mail.text, mail.html):
        assert "we are not going to change it for now" in body
        assert "Can you live with that?" in body
        assert "fixed" not in body


def test_the_mail_escapes_what_people_wrote(make: Make, session: Session, settings: Settings) -> None:
    notification = make.notification()
    notification.name = "Maya\nBcc: all <b>"
    notification.data = notification.data | {"quote": "<script>\nsecond line", "statement": "a < b & c"}
    mail = compose(notification, settings)
    assert "<script>" not in mail.html
    assert "&lt;script&gt;<br>second line" in mail.html
    assert "a &lt; b &amp; c" in mail.html
    assert "> <script>\n> second line" in mail.text
    assert "a < b & c" in mail.text
    assert "\n" not in mail.subject


def test_the_mail_greets_people_whose_name_we_do_not_know(make: Make, settings: Settings) -> None:
    notification = make.notification()
    notification.name = ""
    mail = compose(notification, settings)
    assert mail.text.startswith("Hello,\n")
    assert ">Hello,<" in mail.html


def test_who_has_not_run_into_it_can_say_so(client: FlaskClient, told: Told, session: Session) -> None:
    assert "I have not run into it since" in client.get(told.path).text
    thanks = client.get(send(client, told.path, answer="not_since").location)
    assert "neither a yes nor a no" in thanks.text
    assert session.scalars(select(FollowUp)).one().fixed == Fixed.NOT_SINCE


def test_before_a_fix_takes_effect_the_page_says_from_when(client: FlaskClient, told: Told, session: Session) -> None:
    told.closure.effective_from = datetime(2126, 11, 3, tzinfo=UTC)
    session.commit()
    assert "This takes effect on 3 November 2126." in client.get(told.path).text


def test_disagreeing_takes_a_reason(client: FlaskClient, declined: Told, session: Session) -> None:
    page = client.get(f"{declined.path}?answer=no")
    assert "I have not run into it since" not in page.text
    assert "a lead decides about it once more" in page.text
    sent = send(client, declined.path, answer="no", comment=" ")
    assert sent.status_code == 400
    assert '<a href="#comment">Say in a few words why you disagree.</a>' in sent.text
    assert send(client, declined.path, answer="not_since").status_code == 400
    assert recorded(session) == 0
    thanks = client.get(send(client, declined.path, answer="no", comment="It breaks every time.").location)
    assert "a lead looks at the decision a second time" in thanks.text


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome.DECLINED, "we are not going to change it for now"),
        (Outcome.NOT_A_PROBLEM, "we have changed nothing"),
        (Outcome.PARTLY_FIXED, "It helps with a part of the problem"),
    ],
)
def test_each_way_of_ending_has_its_own_words(
    make: Make, cast: Cast, session: Session, settings: Settings, outcome: Outcome, words: str
) -> None:
    mail = compose(tell(make, cast, session, settings, outcome).notification, settings)
    for body in (mail.text, mail.html):
        assert words in body
        assert ("I disagree" in body) == (outcome != Outcome.PARTLY_FIXED)
    assert "\n\n\n" not in mail.text
