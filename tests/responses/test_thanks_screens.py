"""The thanks: by score, what happens next, and by when."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from feedback_loop.clock import utc_now
from feedback_loop.languages import as_day
from feedback_loop.notifications.models import Suppression
from feedback_loop.responses.thanking import Said, thanks_for
from feedback_loop.surveys.models import ScaleName, Survey
from feedback_loop.surveys.scales import EARLIER_THANKS, THANKS, THANKS_LOW
from tests.factories import Make
from tests.pages import words
from tests.responses.test_answer_screens import send

HEARD = "we write to you and ask whether that helped"


@pytest.mark.parametrize(
    ("thanks", "thanks_low", "is_low", "said"),
    [
        (THANKS, "", False, THANKS),
        (THANKS, "", True, THANKS_LOW),
        (EARLIER_THANKS, "", False, THANKS),
        (EARLIER_THANKS, "", True, THANKS_LOW),
        ("Ours.", "", True, "Ours."),
        ("Ours.", "We call you.", True, "We call you."),
        ("Ours.", "We call you.", False, "Ours."),
        (THANKS, "We call you.", True, "We call you."),
    ],
)
def test_thanks_go_by_the_score(thanks: str, thanks_low: str, is_low: bool, said: str) -> None:
    survey = Survey(thanks=thanks, thanks_low=thanks_low, translations={})
    assert thanks_for(survey, is_low, "en") == said


def test_thanks_of_an_admin_are_read_in_the_readers_language() -> None:
    survey = Survey(thanks="Ours.", thanks_low="We call you.", translations={"de": {"thanks_low": "Wir rufen an."}})
    assert thanks_for(survey, True, "de") == "Wir rufen an."
    assert thanks_for(survey, True, "fr") == "We call you."


def test_hints_in_the_address_say_nothing_of_who_answered() -> None:
    for said in (Said(), Said(True, False, True), Said(True, True, True)):
        assert Said.from_hints(said.hints) == said
    assert Said(True, True, True).hints == {"low": "1", "words": "1", "mail": "1"}
    assert Said.from_hints({"low": "2", "words": ""}) == Said()


def test_an_open_page_thanks_by_score_and_says_by_when(client: FlaskClient, make: Make, session: Session) -> None:
    make.survey("parcels", ScaleName.CSAT, reply_days=3, thanks_low="Our desk looks into it.\n\nThank you.")
    session.commit()
    sent = send(client, "/s/parcels", score="1", comment="Wet.", email="maya@example.com")
    assert sent.location == "/s/parcels/thanks?low=1&words=1&mail=1"
    page = words(client.get(sent.location))
    assert "Our desk looks into it. Thank you." in page
    by = as_day(utc_now() + timedelta(days=3), "en")
    assert f"A person at Fernhill Outdoor reads them within 3 days, by {by}." in page
    assert HEARD in page
    high = words(client.get(send(client, "/s/parcels", score="5", comment="Dry.").location))
    assert "Our desk" not in high
    assert "You left no address, so we cannot tell you what came of it." in high
    assert HEARD not in high


@pytest.mark.parametrize(("days", "said"), [(None, ""), (1, "reads them within a day, by"), (2, "within 2 days, by")])
def test_a_day_is_promised_only_where_one_is_set(
    client: FlaskClient, make: Make, session: Session, days: int | None, said: str
) -> None:
    make.survey("parcels", reply_days=days)
    session.commit()
    page = words(client.get("/s/parcels/thanks?words=1"))
    assert said in page
    assert ("A person at" in page) == (days is not None)


def test_a_mere_score_is_promised_no_more_than_that_it_counts(
    client: FlaskClient, make: Make, session: Session
) -> None:
    make.survey("parcels", ScaleName.CSAT, reply_days=3)
    session.commit()
    page = words(client.get(send(client, "/s/parcels", score="5").location))
    assert "Your choice counts together with those of everybody else who answers." in page
    for promise in ("your words", "reads them", HEARD, "address"):
        assert promise not in page


def test_an_invited_customer_is_thanked_by_their_answer(client: FlaskClient, make: Make, session: Session) -> None:
    survey = make.survey("order", ScaleName.CSAT, reply_days=2, thanks_low="Our desk looks into it.")
    _, token = make.invitation(survey, make.customer("Maya Lind", "maya@example.com"))
    session.commit()
    sent = send(client, f"/i/{token}", score="1")
    assert sent.location == f"/i/{token}/thanks"
    page = words(client.get(sent.location))
    assert "Our desk looks into it." in page
    assert "If you want to tell us the reason, change your answer and add a few words." in page
    send(client, f"/i/{token}", score="5", comment="Dry.")
    page = words(client.get(sent.location))
    assert "Our desk" not in page
    assert "within 2 days" in page
    assert HEARD in page


def test_nobody_is_promised_a_mail_that_may_not_be_sent(client: FlaskClient, make: Make, session: Session) -> None:
    customer = make.customer("Maya Lind", "maya@example.com")
    _, token = make.invitation(make.survey("order", ScaleName.CSAT), customer)
    session.add(Suppression(address=customer.email, reason="unsubscribed", created_at=make.now))
    session.commit()
    page = words(client.get(send(client, f"/i/{token}", score="1", comment="Wet.").location))
    assert HEARD not in page
    assert "We may write to your address no more" in page
