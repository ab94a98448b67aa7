"""Messages for chats: short, plain, and nothing in a customer's words addresses a channel or links anywhere."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy.orm import Session

from feedback_loop import pipeline
from feedback_loop.integrations.catalogue import EVENTS, TEST
from feedback_loop.integrations.messages import HEADINGS, harmless, slack, teams
from feedback_loop.integrations.models import EndpointKind
from feedback_loop.pipeline import Context
from tests.factories import Cast, Make
from tests.integrations.conftest import Adding
from tests.integrations.servers import Server

NASTY = "<!channel> <@U123> @here & [click](https://evil.example) *bold* www.evil.example evil.example.com <at>Ada</at>"


def said(name: str = NASTY, **data: Any) -> dict[str, Any]:
    complaint = {"number": "C-4", "name": name, "people": 2, "anonymous": 0, "url": "http://localhost/complaints/4"}
    return {"type": "complaint.created", "timestamp": "2026-10-12T09:30:00Z", "data": {"complaint": complaint} | data}


def test_every_event_has_a_heading() -> None:
    assert set(HEADINGS) == {*EVENTS, TEST}


def test_slack_gets_customers_words_as_plain_text() -> None:
    message = slack(said())
    whole = json.dumps(message, ensure_ascii=False)
    for bad in ("<!channel>", "<@U123>", "@here", "evil.example", "https://evil"):
        assert bad not in message["text"]
    assert "evil.example" not in whole
    assert "@here" not in whole
    marked = [block["text"] for block in message["blocks"] if block["text"]["type"] == "mrkdwn"]
    assert [each["text"] for each in marked] == ["<http://localhost/complaints/4|Open>"], "only our link is one"
    assert message["text"].startswith("New complaint: C-4 &lt;!channel&gt;")
    assert message["unfurl_links"] is False


def test_teams_gets_them_as_runs_of_text_in_a_card() -> None:
    message = teams(said())
    card = message["attachments"][0]["content"]
    assert message["type"] == "message"
    assert message["attachments"][0]["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    texts = [each for each in card["body"] if each["type"] == "TextBlock"]
    assert [each["text"] for each in texts] == ["New complaint"], "what reads Markdown holds only our words"
    assert "msteams" not in card, "without entities nobody is mentioned"
    assert card["actions"] == [{"type": "Action.OpenUrl", "title": "Open", "url": "http://localhost/complaints/4"}]
    assert "evil.example" not in json.dumps(message)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Version 3.2 is slow. Please fix", "Version 3.2 is slow. Please fix"),
        ("see HTTP://Evil.example/x now", "see [link] now"),
        ("javascript://x", "[link]"),
        ("mailto:a@b.example", "[link]"),
        ("a\n\n b", "a b"),
    ],
)
def test_only_what_would_act_is_changed(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_long_words_are_cut() -> None:
    assert len(harmless("word " * 1000)) < 610


@pytest.mark.parametrize("kind", [EndpointKind.SLACK, EndpointKind.TEAMS])
def test_chats_hear_of_everything_unsigned_and_at_an_address_that_is_kept_secret(
    context: Context, make: Make, cast: Cast, session: Session, add: Adding, other: Server, kind: EndpointKind
) -> None:
    endpoint = add(f"{other.url}/services/T0/B0/secret", kind=kind)
    assert "secret" not in endpoint.shown_url
    assert b"secret" not in endpoint.sealed_url
    make.answer("Never came.", make.survey("returns"), make.customer())
    make.closure(make.raised_item(1, cast.delivery), cast.omar)
    session.commit()
    pipeline.find_events(context)
    sent = pipeline.call_out(context)
    assert sent == len(other.asked) >= 4
    for asked in other.asked:
        assert asked.path == "/services/T0/B0/secret"
        assert "webhook-signature" not in asked.headers
        assert ("blocks" in asked.json) == (kind == EndpointKind.SLACK)
