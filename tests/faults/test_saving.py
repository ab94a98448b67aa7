"""A page never says that something is saved when it is not, and nothing that was typed is lost."""

from __future__ import annotations

import html
import re
import time

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from feedback_loop.accounts.models import Scope
from feedback_loop.actions.models import ActionEvent
from feedback_loop.db import sqlite_driver
from feedback_loop.responses.models import Answer, RawComment
from feedback_loop.responses.together import Together, Waiting
from tests.factories import Cast, Make, sign_in
from tests.faults.conftest import Fault, kill_connections
from tests.pages import fields_of, words
from tests.responses.test_together import page_of, send

LONG = "It rains into it. " * 200  # more than a page of the database that has some room left can take
COMMENT = LONG + 'The zip broke,\nand "nobody" <answered> & that\'s it.'


def kept(response: TestResponse) -> dict[str, str]:
    """What the page that says that nothing was saved would send."""
    page = response.get_data(as_text=True)
    texts = re.findall(r'<textarea[^>]*name="([^"]*)"[^>]*>(.*?)</textarea>', page, re.DOTALL)
    return fields_of(page) | {name: html.unescape(text) for name, text in texts}


def target(response: TestResponse) -> str:
    found = re.search(r'<form method="post" action="([^"]*)"', response.get_data(as_text=True))
    assert found is not None
    return html.unescape(found[1])


def answers(session: Session) -> int:
    count = session.scalar(select(func.count()).select_from(Answer)) or 0
    session.rollback()
    return count


@pytest.mark.parametrize("is_invited", [True, False])
def test_an_answer_that_cannot_be_stored_is_kept_on_the_page_and_can_be_sent_again(
    client: FlaskClient, engine: Engine, make: Make, faults: list[Fault], is_invited: bool
) -> None:
    for number, fault in enumerate(faults, 1):
        invitation, token = make.invitation()
        path = f"/i/{token}?lang=de" if is_invited else f"/s/{invitation.survey.slug}?lang=de"
        make.session.commit()
        sent = fields_of(client.get(path).get_data(as_text=True)) | {"score": "no", "comment": COMMENT}
        make.session.close()
        with fault(engine):
            refused = client.post(path, data=sent)
        assert refused.status_code == 503, fault
        assert refused.headers["Retry-After"] == "30"
        assert "Noch nicht gespeichert" in words(refused)
        assert re.search(r"<code>[0-9a-f]{32}</code>", refused.get_data(as_text=True))
        assert answers(make.session) == number - 1
        again = kept(refused)
        assert again["comment"] == COMMENT
        assert again.items() >= {"score": "no"}.items()
        assert target(refused) == path
        assert client.post(target(refused), data=again).status_code == 303
        assert answers(make.session) == number
        assert client.post(target(refused), data=again).status_code == 303, "pressed twice"
        assert answers(make.session) == number
        assert make.session.scalar(select(func.count()).select_from(RawComment)) == number
        make.session.rollback()


def test_an_embedded_page_can_still_be_seen_when_it_says_that_nothing_was_saved(
    client: FlaskClient, engine: Engine, make: Make, faults: list[Fault], monkeypatch: pytest.MonkeyPatch
) -> None:
    survey = make.survey("shop")
    survey.embed_origins = ["https://shop.example"]
    make.session.commit()
    sent = fields_of(client.get("/s/shop/embed").get_data(as_text=True)) | {"score": "no", "comment": COMMENT}
    make.session.close()
    monkeypatch.setattr("feedback_loop.responses.together.time.monotonic", lambda: time.perf_counter() + 10**6)
    with faults[-1](engine):
        refused = client.post("/s/shop/embed", data=sent)
    assert refused.status_code == 503
    assert "frame-ancestors https://shop.example" in refused.headers["Content-Security-Policy"]


def test_a_program_is_told_to_send_the_same_again(
    client: FlaskClient, engine: Engine, make: Make, faults: list[Fault]
) -> None:
    make.survey("shop")
    _, key = make.api_key(Scope.ANSWERS_WRITE)
    make.session.commit()
    make.session.close()
    item = {"survey": "shop", "external_id": "1", "score": "no", "comment": COMMENT}
    for fault in faults:
        with fault(engine):
            refused = client.post("/api/v1/answers", json={"items": [item]}, headers={"Authorization": f"Bearer {key}"})
        assert refused.status_code == 503, fault
        assert refused.content_type == "application/problem+json"
        assert refused.headers["Retry-After"] == "30"
        assert "nothing was saved" in refused.get_json(force=True)["detail"]
    assert answers(make.session) == 0
    done = client.post("/api/v1/answers", json={"items": [item]}, headers={"Authorization": f"Bearer {key}"})
    assert done.status_code in (200, 201)


def test_what_a_colleague_typed_is_kept(
    client: FlaskClient, engine: Engine, cast: Cast, make: Make, faults: list[Fault]
) -> None:
    item = make.item(team=cast.delivery)
    make.session.commit()
    number, text = item.id, "Asked the carrier, no answer yet."
    sign_in(client, cast.omar)
    make.session.close()
    with faults[-1](engine):
        refused = client.post(f"/actions/{number}/comments", data={"comment": text})
    assert refused.status_code == 503
    assert kept(refused) == {"comment": text}
    assert client.post(target(refused), data=kept(refused)).status_code == 302
    said = make.session.scalars(select(ActionEvent.text).where(ActionEvent.action_item_id == number)).all()
    assert said.count(text) == 1
    make.session.rollback()


def test_a_password_is_not_kept(
    client: FlaskClient, engine: Engine, cast: Cast, make: Make, faults: list[Fault]
) -> None:
    make.session.close()
    with faults[-1](engine):
        refused = client.post("/sign-in", data={"email": "ada@fernhill.example", "password": "correct horse battery"})
    assert refused.status_code == 503
    assert "horse" not in refused.get_data(as_text=True)
    assert "try again in a minute" in words(refused)


def test_after_all_connections_were_ended_pages_recover_by_themselves(
    client: FlaskClient, engine: Engine, make: Make
) -> None:
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no server that restarts")
    _, token = make.invitation()
    make.session.commit()
    make.session.close()
    sent = fields_of(client.get(f"/i/{token}").get_data(as_text=True)) | {"score": "no", "comment": COMMENT}
    seen = []
    for _turn in range(3):
        kill_connections(engine)
        response = client.post(f"/i/{token}", data=sent)
        seen.append(response.status_code)
        if response.status_code == 503:
            response = client.post(target(response), data=kept(response))
        assert response.status_code == 303
    assert answers(make.session) == 1


def test_what_was_typed_is_kept_where_the_program_fails(
    client: FlaskClient, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    survey = make.survey("shop", tags=["Delivery", "Price"])
    _, token = make.invitation(survey)
    make.session.commit()
    sent = fields_of(client.get(f"/i/{token}").get_data(as_text=True)) | {"score": "no", "comment": COMMENT}
    with monkeypatch.context() as broken:
        broken.setattr("feedback_loop.responses.receiving.receive", lambda *_a, **_k: 1 / 0)
        failed = client.post(
            f"/i/{token}?lang=de", data=MultiDict([*sent.items(), ("tag", "Delivery"), ("tag", "Price")])
        )
    assert failed.status_code == 500
    assert "Retry-After" not in failed.headers
    assert kept(failed).items() >= {"comment": COMMENT, "score": "no"}.items()
    assert failed.get_data(as_text=True).count('name="tag"') == 2
    assert re.search(r"<code>[0-9a-f]{32}</code>", failed.get_data(as_text=True))
    assert answers(make.session) == 0
    assert client.post(target(failed), data=kept(failed)).status_code == 303
    assert answers(make.session) == 1


@pytest.mark.parametrize("said", ["database disk image is malformed", "file is not a database"])
def test_a_damaged_database_is_no_error_of_the_program(
    client: FlaskClient, make: Make, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    _, token = make.invitation()
    make.session.commit()
    sent = fields_of(client.get(f"/i/{token}").get_data(as_text=True)) | {"score": "no", "comment": COMMENT}

    def damaged(*_args: object, **_more: object) -> None:
        raise DatabaseError("SELECT", {}, sqlite_driver().DatabaseError(said))

    monkeypatch.setattr("feedback_loop.responses.receiving.receive", damaged)
    refused = client.post(f"/i/{token}", data=sent)
    assert refused.status_code == 503
    assert kept(refused)["comment"] == COMMENT


def test_an_answer_that_no_column_takes_spoils_none_that_came_with_it(
    app: Flask, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers that come at once are written together: whoever writes for all must not answer for the faults of one."""
    make.survey("checkout")
    make.session.commit()
    make.session.close()
    real = Together._write

    def write(self: Together, batch: list[Waiting]) -> None:
        if any(each.answer["score"] == 0 for each in batch):
            raise TypeError("a value that no driver takes")
        real(self, batch)

    monkeypatch.setattr(Together, "_write", write)
    assert send(app, page_of(app))[0] == 303
    assert answers(make.session) == 1
