from __future__ import annotations

from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from feedback_loop.actions.queries import rules
from tests.factories import Cast, Make, sign_in
from tests.pages import words


def order(session: Session) -> list[str]:
    """The keywords of the rules, as they are asked."""
    found = [rule.keyword for rule in rules(session)]
    session.commit()
    session.expire_all()
    return found


def test_rules_are_added_moved_and_deleted(client: FlaskClient, cast: Cast, session: Session) -> None:
    sign_in(client, cast.lena)
    for word in ("parcel", "refund", "label"):
        team = str(cast.delivery.id)
        assert client.post("/settings/routing", data={"keyword": word, "survey": "", "team": team}).status_code == 302
    assert order(session) == ["parcel", "refund", "label"]
    ids = {rule.keyword: rule.id for rule in rules(session)}
    session.commit()
    client.post(f"/settings/routing/{ids['label']}/move", data={"step": "up"})
    assert order(session) == ["parcel", "label", "refund"]
    client.post(f"/settings/routing/{ids['parcel']}/move", data={"step": "up"})
    client.post(f"/settings/routing/{ids['parcel']}/move", data={"step": "down"})
    assert order(session) == ["label", "parcel", "refund"]
    client.post(f"/settings/routing/{ids['parcel']}/delete")
    assert order(session) == ["label", "refund"]
    assert client.post(f"/settings/routing/{ids['parcel']}/delete").status_code == 404


def test_a_rule_may_ask_for_a_survey(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    survey = make.survey("app")
    session.commit()
    sign_in(client, cast.lena)
    typed = {"keyword": "login", "survey": str(survey.id), "team": str(cast.payments.id)}
    page = words(client.post("/settings/routing", data=typed, follow_redirects=True))
    assert "“login” and survey App Payments" in page


def test_a_rule_must_ask_for_something(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.lena)
    typed = {"keyword": "", "survey": "", "team": str(cast.delivery.id)}
    response = client.post("/settings/routing", data=typed)
    assert response.status_code == 400
    assert "Enter a word, or choose a survey, or both." in words(response)


def test_without_rules_the_page_says_what_happens(client: FlaskClient, cast: Cast) -> None:
    sign_in(client, cast.lena)
    assert "No rule yet: everything goes to the default team." in words(client.get("/settings/routing"))
