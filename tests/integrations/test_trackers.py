"""One issue for each time it is asked for, whatever breaks; what happens to it there is heard of here, and back."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop import pipeline
from feedback_loop.actions.models import ActionEvent, ActionItem, ItemLink, Notice, Status
from feedback_loop.actions.service import reopen, take_on
from feedback_loop.integrations.models import IssueState, Tracker, TrackerComment, TrackerIssue, TrackerKind
from feedback_loop.integrations.service import Refused
from feedback_loop.integrations.trackers import service
from feedback_loop.integrations.trackers.api import Api
from feedback_loop.outbound import outbound
from feedback_loop.pipeline import Context
from feedback_loop.settings import Settings
from tests.factories import Cast, Make
from tests.integrations.conftest import Clock
from tests.integrations.fakes import TOKEN, Fake, GitHubFake, GitLabFake, JiraFake, as_json
from tests.integrations.servers import Asked, Reply, Server, serving

FAKES: dict[TrackerKind, type[Fake]] = {
    TrackerKind.GITHUB: GitHubFake,
    TrackerKind.GITLAB: GitLabFake,
    TrackerKind.JIRA: JiraFake,
}
MARKER = "0123456789abcdef" * 2


@dataclass
class There:
    """A tracker, with ours of it."""

    kind: TrackerKind
    fake: Fake
    server: Server
    tracker: Tracker

    def heard(self, method: str) -> int:
        return sum(each.method == method for each in self.server.asked)


def wanted(kind: TrackerKind, url: str, **changes: object) -> service.Wanted:
    project = "SHOP" if kind == TrackerKind.JIRA else "fernhill/shop"
    account = "dev@fernhill.example" if kind == TrackerKind.JIRA else ""
    values: dict[str, object] = {
        "name": "The shop", "kind": kind, "base_url": url, "project": project, "account": account, "issue_type": "",
        "token": TOKEN, "comments_back": True,
    }  # fmt: skip
    return service.Wanted(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture(params=list(TrackerKind))
def there(
    request: pytest.FixtureRequest, make: Make, cast: Cast, session: Session, settings: Settings
) -> Iterator[There]:
    kind = request.param
    fake = FAKES[kind]()
    with serving(Server(fake)) as server:
        fake.home = server.url
        tracker = service.add_tracker(
            session, wanted(kind, server.url), None, cast.ada, make.now, settings, outbound(settings)
        )
        session.commit()
        yield There(kind, fake, server, tracker)


@pytest.fixture
def item(make: Make, cast: Cast, session: Session) -> ActionItem:
    item = make.raised_item(2, cast.delivery, "Parcel never came")
    take_on(session, item, cast.omar, make.now)
    session.commit()
    return item


@pytest.fixture
def ask(session: Session, item: ActionItem, there: There, cast: Cast, clock: Clock) -> Callable[..., TrackerIssue]:
    def asks(marker: str = MARKER, title: str = "Parcel never came (C-1)") -> TrackerIssue:
        issue = service.ask_for_issue(
            session, item, there.tracker, title, "Two lines\nof text.\n\n“Lost again”", marker, cast.omar, clock.now
        )
        session.commit()
        return issue

    return asks


def again(session: Session, row: TrackerIssue) -> TrackerIssue:
    session.refresh(row)
    session.commit()
    return row


def history(session: Session, item: ActionItem) -> list[str]:
    found = session.scalars(
        select(ActionEvent.text).where(ActionEvent.action_item_id == item.id).order_by(ActionEvent.id)
    )
    texts = list(found)
    session.commit()
    return texts


def test_an_issue_is_made_and_linked(
    context: Context, session: Session, there: There, item: ActionItem, ask: Callable[..., TrackerIssue]
) -> None:
    issue = ask()
    ask()  # the same form, sent twice
    pipeline.trackers(context)
    assert len(there.fake.issues) == 1
    again(session, issue)
    assert issue.state == IssueState.DONE
    link = session.scalars(select(ItemLink)).one()
    session.commit()
    assert (link.provider, link.external_id, link.url) == (there.kind.value, issue.external_id, issue.url)
    assert link.action_item_id == item.id
    made = json.dumps(there.fake.issues[0], ensure_ascii=False)
    assert "Lost again" in made
    assert MARKER in made
    assert any("was made." in each for each in history(session, item))


def test_an_answer_that_got_lost_makes_no_second_issue(
    context: Context, session: Session, there: There, ask: Callable[..., TrackerIssue], clock: Clock
) -> None:
    issue = ask()
    there.fake.lose_with = [as_json(502, {"message": "Bad Gateway"})]
    pipeline.trackers(context)
    assert again(session, issue).state == IssueState.PENDING
    assert "out of order (502)" in issue.reason
    clock.forward(minutes=3)
    pipeline.trackers(context)
    assert again(session, issue).state == IssueState.DONE
    assert len(there.fake.issues) == 1


@pytest.mark.parametrize("header", [{"Retry_After": "600"}, {"X_RateLimit_Remaining": "0", "Retry_After": "600"}])
def test_a_tracker_that_wants_fewer_requests_is_left_alone_so_long(
    context: Context,
    session: Session,
    there: There,
    ask: Callable[..., TrackerIssue],
    clock: Clock,
    header: dict[str, str],
) -> None:
    issue = ask()
    ask("f" * 32, "Another")
    code = 403 if len(header) == 2 else 429
    there.fake.break_with = [as_json(code, {"message": "slow down"}, **header)]
    pipeline.trackers(context)
    assert len(there.server.asked) == 1, "nothing else is asked of it either"
    assert again(session, issue).attempts == 0, "asked to wait is not failed"
    clock.forward(minutes=9)
    pipeline.trackers(context)
    assert len(there.server.asked) == 1
    clock.forward(minutes=2)
    pipeline.trackers(context)
    assert len(there.fake.issues) == 2


def test_a_token_that_is_not_known_is_said_and_can_be_mended(
    context: Context,
    session: Session,
    there: There,
    item: ActionItem,
    ask: Callable[..., TrackerIssue],
    settings: Settings,
    cast: Cast,
    clock: Clock,
) -> None:
    service.set_up(there.tracker, wanted(there.kind, there.server.url, token="wrong"), settings, outbound(settings))
    issue = ask()
    pipeline.trackers(context)
    assert again(session, issue).state == IssueState.FAILED
    assert "does not know the token (401)" in issue.reason
    notice = session.scalars(select(Notice)).one()
    assert notice.user_id == cast.omar.id
    service.set_up(there.tracker, wanted(there.kind, there.server.url), settings, outbound(settings))
    service.try_again(issue, clock.now)
    session.commit()
    pipeline.trackers(context)
    assert again(session, issue).state == IssueState.DONE
    assert there.fake.issues


def test_what_the_tracker_says_of_a_refusal_is_shown(
    context: Context, session: Session, there: There, ask: Callable[..., TrackerIssue]
) -> None:
    there.tracker.issue_type = "Epos"
    issue = ask()
    issue.title = ""
    session.commit()
    pipeline.trackers(context)
    assert again(session, issue).state == IssueState.FAILED
    said = {
        TrackerKind.GITHUB: "(422). It says: Validation Failed; missing_field",
        TrackerKind.GITLAB: '(400). It says: title ["can\'t be blank"]',
        TrackerKind.JIRA: "(400). It says: issuetype: The issue type selected is invalid.",
    }
    assert said[there.kind] in issue.reason


@pytest.mark.parametrize("body", [b"<html>Hello</html>", b"[]", b"{}", b"null", b'{"number": {}}'])
def test_what_is_no_tracker_is_told_apart(
    context: Context, session: Session, there: There, ask: Callable[..., TrackerIssue], body: bytes
) -> None:
    issue = ask()
    there.fake.break_with = [(200, {}, body)]
    pipeline.trackers(context)
    assert "not this kind of tracker" in again(session, issue).reason


def test_an_issue_closed_there_is_told_here_and_closes_nothing_by_itself(
    context: Context,
    session: Session,
    there: There,
    item: ActionItem,
    ask: Callable[..., TrackerIssue],
    clock: Clock,
    cast: Cast,
) -> None:
    issue = ask()
    pipeline.trackers(context)
    clock.forward(minutes=6)
    pipeline.trackers(context)
    looked = len(there.server.asked)
    there.fake.close()
    clock.forward(minutes=2)
    pipeline.trackers(context)
    assert len(there.server.asked) == looked, "every five minutes, not more often"
    clock.forward(minutes=4)
    pipeline.trackers(context)
    assert not again(session, issue).is_open
    session.refresh(item)
    assert item.status == Status.IN_PROGRESS, "customers are told when it closes, and only a person knows what"
    notice = session.scalars(select(Notice)).one()
    session.commit()
    assert (notice.user_id, notice.kind) == (cast.omar.id, "issue_closed")
    assert "was closed there. If that solves it, close this item and say so." in history(session, item)[-1]
    clock.forward(hours=7)
    pipeline.trackers(context)
    assert len(history(session, item)) == len(set(history(session, item))), "told once"


def test_nothing_new_is_asked_for_by_its_etag(
    context: Context, session: Session, there: There, ask: Callable[..., TrackerIssue], clock: Clock
) -> None:
    if there.kind != TrackerKind.GITHUB:
        pytest.skip("only GitHub names one")
    ask()
    pipeline.trackers(context)
    for _ in range(2):
        clock.forward(minutes=6)
        pipeline.trackers(context)
    assert there.server.asked[-1].headers["if-none-match"] == 'W/"open"'
    there.fake.close()
    clock.forward(minutes=6)
    pipeline.trackers(context)
    assert not session.scalars(select(TrackerIssue)).one().is_open
    session.commit()


def test_long_closed_issues_are_looked_at_no_more(
    context: Context, session: Session, there: There, ask: Callable[..., TrackerIssue], clock: Clock
) -> None:
    issue = ask()
    pipeline.trackers(context)
    there.fake.close()
    for _ in range(70):
        clock.forward(hours=6, minutes=1)
        pipeline.trackers(context)
    assert again(session, issue).next_at is None


def test_our_closing_and_reopening_is_said_there_once(
    context: Context,
    session: Session,
    there: There,
    item: ActionItem,
    ask: Callable[..., TrackerIssue],
    clock: Clock,
    make: Make,
    cast: Cast,
) -> None:
    ask()
    pipeline.trackers(context)
    clock.forward(minutes=1)
    make.now = clock.now
    make.closure(item, cast.omar)
    session.commit()
    there.fake.lose_with = [as_json(500, {})]
    pipeline.trackers(context)
    clock.forward(minutes=3)
    pipeline.trackers(context)
    said = there.fake.comments["1"]
    assert len(said) == 1, "the answer got lost, the comment did not"
    assert "was closed as fixed." in said[0]
    assert "Labels smudged" not in said[0], "the tracker may be open to the world"
    reopen(session, item, "It came back.", cast.omar, clock.now)
    session.commit()
    pipeline.trackers(context)
    pipeline.trackers(context)
    assert ["is open again" in each for each in there.fake.comments["1"]] == [False, True]
    assert {each.state for each in session.scalars(select(TrackerComment))} == {IssueState.DONE}
    session.commit()


def test_a_tracker_that_is_to_hear_nothing_hears_nothing(
    context: Context,
    session: Session,
    there: There,
    item: ActionItem,
    ask: Callable[..., TrackerIssue],
    make: Make,
    cast: Cast,
) -> None:
    there.tracker.comments_back = False
    ask()
    pipeline.trackers(context)
    make.closure(item, cast.omar)
    session.commit()
    pipeline.trackers(context)
    assert there.fake.comments == {}


def test_an_archived_tracker_is_asked_for_nothing(
    context: Context, session: Session, there: There, ask: Callable[..., TrackerIssue], clock: Clock
) -> None:
    ask()
    service.set_archived(there.tracker, True, clock.now)
    session.commit()
    pipeline.trackers(context)
    assert there.server.asked == []
    with pytest.raises(Refused, match="cannot be chosen"):
        ask("e" * 32)
    session.rollback()


def test_a_worker_that_died_while_asking_leaves_one_issue(
    context: Context, session: Session, there: There, ask: Callable[..., TrackerIssue], clock: Clock
) -> None:
    issue = ask()
    pipeline.trackers(context)
    # As if it had died before it could write what came of it.
    issue = again(session, issue)
    issue.state, issue.external_id, issue.attempts, issue.next_at = IssueState.PENDING, "", 1, clock.now
    issue.claimed_until = clock.now + timedelta(minutes=5)
    session.commit()
    pipeline.trackers(context)
    assert again(session, issue).state == IssueState.PENDING
    clock.forward(minutes=30)
    pipeline.trackers(context)
    assert again(session, issue).state == IssueState.DONE
    assert len(there.fake.issues) == 1


LOST = [
    (503, {"Retry-After": "30"}, b"{}"),
    (500, {"X-RateLimit-Remaining": "0"}, b"{}"),
    (408, {}, b"{}"),
    (200, {}, b"<html>"),
    (201, {}, b"[]"),
]


@pytest.mark.parametrize("reply", LOST)
def test_whatever_is_answered_after_it_was_made_there_is_one_issue(
    context: Context, session: Session, there: There, ask: Callable[..., TrackerIssue], clock: Clock, reply: Reply
) -> None:
    issue = ask()
    there.fake.lose_with = [reply]
    pipeline.trackers(context)
    if again(session, issue).state == IssueState.FAILED:
        service.try_again(issue, clock.now)
        session.commit()
    there.fake.break_with = [(429, {"Retry-After": "30"}, b"{}")]
    for _ in range(5):
        clock.forward(minutes=20)
        pipeline.trackers(context)
    assert again(session, issue).state == IssueState.DONE
    assert len(there.fake.issues) == 1


def test_a_comment_whose_answer_asks_to_wait_is_written_once(
    context: Context,
    session: Session,
    there: There,
    item: ActionItem,
    ask: Callable[..., TrackerIssue],
    clock: Clock,
    make: Make,
    cast: Cast,
) -> None:
    ask()
    pipeline.trackers(context)
    # The newest comments stand on the second page of those that list the oldest first.
    there.fake.comments["1"] = [json.dumps({"type": "doc", "content": [], "version": 1})] * 120
    clock.forward(minutes=1)
    make.now = clock.now
    make.closure(item, cast.omar)
    session.commit()
    there.fake.lose_with = [(503, {"Retry-After": "30"}, b"{}")]
    pipeline.trackers(context)
    for _ in range(4):
        clock.forward(minutes=10)
        pipeline.trackers(context)
    assert len(there.fake.comments["1"]) == 121
    assert session.scalars(select(TrackerComment)).one().state == IssueState.DONE
    session.commit()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"message": "Validation Failed", "errors": ["locked"]}, "Validation Failed; locked"),
        ({"message": ["odd"], "errors": "locked"}, "locked"),
        ({"errors": [None, 7, {"code": "missing"}], "errorMessages": 5}, "(422)."),
        ({"message": 5, "errors": {"a": "b"}, "errorMessages": "odd"}, "(422)."),
    ],
)
def test_an_odd_refusal_keeps_no_other_comment_from_being_written(
    context: Context,
    session: Session,
    there: There,
    item: ActionItem,
    ask: Callable[..., TrackerIssue],
    clock: Clock,
    make: Make,
    cast: Cast,
    body: dict[str, object],
    said: str,
) -> None:
    two_closed(context, session, there, item, ask, clock, make, cast)
    there.fake.break_with = [as_json(422, body)]
    pipeline.trackers(context)
    first, second = session.scalars(select(TrackerComment).order_by(TrackerComment.id)).all()
    session.commit()
    assert (first.state, second.state) == (IssueState.FAILED, IssueState.DONE)
    if there.kind == TrackerKind.GITHUB:
        assert said in first.reason


def two_closed(
    context: Context,
    session: Session,
    there: There,
    item: ActionItem,
    ask: Callable[..., TrackerIssue],
    clock: Clock,
    make: Make,
    cast: Cast,
) -> None:
    """Two items with an issue each, both closed."""
    ask()
    other = make.raised_item(2, cast.delivery, "Other")
    take_on(session, other, cast.omar, clock.now)
    service.ask_for_issue(session, other, there.tracker, "Other", "b", "f" * 32, cast.omar, clock.now)
    session.commit()
    pipeline.trackers(context)
    clock.forward(minutes=1)
    make.now = clock.now
    make.closure(item, cast.omar)
    session.commit()
    make.closure(other, cast.omar)
    session.commit()


def test_a_comment_that_breaks_us_is_given_up_in_the_end_and_holds_up_no_other(
    context: Context,
    session: Session,
    there: There,
    item: ActionItem,
    ask: Callable[..., TrackerIssue],
    clock: Clock,
    make: Make,
    cast: Cast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    two_closed(context, session, there, item, ask, clock, make, cast)
    api = type(service.api_of(there.tracker, context.outbound.request, context.settings))
    real = api.comment

    def comment(self: Api, external_id: str, text: str) -> None:
        if external_id.endswith("1"):
            raise AttributeError("odd")
        real(self, external_id, text)  # type: ignore[arg-type]

    monkeypatch.setattr(api, "comment", comment)
    pipeline.trackers(context)
    assert list(there.fake.comments) == ["2"]
    for _ in range(12):
        clock.forward(hours=10)
        pipeline.trackers(context)
    first, second = session.scalars(select(TrackerComment).order_by(TrackerComment.id)).all()
    session.commit()
    assert first.reason.startswith("Given up after 72 hours: Something broke here")
    assert (first.state, second.state) == (IssueState.FAILED, IssueState.DONE)


def test_a_comment_that_is_answered_500_each_time_leaves_the_others_their_turn(
    context: Context,
    session: Session,
    there: There,
    item: ActionItem,
    ask: Callable[..., TrackerIssue],
    clock: Clock,
    make: Make,
    cast: Cast,
) -> None:
    two_closed(context, session, there, item, ask, clock, make, cast)
    real = there.fake.serve

    def serve(asked: Asked, path: str, query: dict[str, str]) -> Reply:
        if asked.method == "POST" and "1/" in path.removeprefix("/rest/api/3"):
            return as_json(500, {})
        return real(asked, path, query)

    there.fake.serve = serve  # type: ignore[method-assign]
    for _ in range(5):
        clock.forward(minutes=10)
        pipeline.trackers(context)
    assert list(there.fake.comments) == ["2"]


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//evil.example", "https://a:b@x.example/", None, "x" * 1100])
def test_an_address_that_no_link_may_have_is_refused_with_the_reason(
    context: Context,
    session: Session,
    there: There,
    item: ActionItem,
    ask: Callable[..., TrackerIssue],
    clock: Clock,
    url: str | None,
) -> None:
    if there.kind == TrackerKind.JIRA:
        pytest.skip("its addresses are made here")
    real = there.fake.serve

    def serve(asked: Asked, path: str, query: dict[str, str]) -> Reply:
        status, headers, body = real(asked, path, query)
        found = json.loads(body)
        for each in found if isinstance(found, list) else [found]:
            each.update({name: url for name in ("html_url", "web_url") if name in each})
        return status, headers, json.dumps(found).encode()

    there.fake.serve = serve  # type: ignore[method-assign]
    issue = ask()
    pipeline.trackers(context)
    assert again(session, issue).state == IssueState.FAILED
    assert "issue 1 an address that cannot be linked" in issue.reason
    assert session.scalars(select(ItemLink)).all() == []
    service.try_again(issue, clock.now)
    session.commit()
    pipeline.trackers(context)
    assert len(there.fake.issues) == 1


def test_github_is_asked_for_some_time_before_ours(
    context: Context, there: There, ask: Callable[..., TrackerIssue], clock: Clock
) -> None:
    if there.kind != TrackerKind.GITHUB:
        pytest.skip("only GitHub is asked by time")
    ask()
    asked_at = clock.now
    there.fake.lose_with = [as_json(502, {})]
    pipeline.trackers(context)
    clock.forward(minutes=3)
    pipeline.trackers(context)
    query = parse_qs(urlsplit(there.server.asked[1].path).query)
    assert query["since"] == [(asked_at - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")]


def test_a_hook_with_half_a_letter_does_nothing(client: FlaskClient, there: There, settings: Settings) -> None:
    body = {
        TrackerKind.GITHUB: b'{"issue":{"number":"\\ud800\\u0000"}}',
        TrackerKind.GITLAB: b'{"object_attributes":{"iid":"\\ud800"}}',
        TrackerKind.JIRA: b'{"issue":{"key":"\\ud800"}}',
    }[there.kind]
    path, header = signed(there, settings, body)
    assert client.post(path, data=body, headers=header).status_code == 204


def signed(there: There, settings: Settings, body: bytes) -> tuple[str, dict[str, str]]:
    path, secret = service.hook_of(there.tracker, settings)
    digest = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    header = {
        TrackerKind.GITHUB: {"X-Hub-Signature-256": digest},
        TrackerKind.GITLAB: {"X-Gitlab-Token": secret},
        TrackerKind.JIRA: {"X-Hub-Signature": digest},
    }
    return path, header[there.kind]


def spoken_of(there: There) -> bytes:
    said = {
        TrackerKind.GITHUB: {"action": "closed", "issue": {"number": 1, "state": "closed"}},
        TrackerKind.GITLAB: {"object_kind": "issue", "object_attributes": {"iid": 1, "state": "closed"}},
        TrackerKind.JIRA: {"webhookEvent": "jira:issue_updated", "issue": {"key": "SHOP-1", "fields": {}}},
    }
    return json.dumps(said[there.kind]).encode()


def test_a_hook_makes_the_worker_look_at_once(
    client: FlaskClient,
    context: Context,
    session: Session,
    there: There,
    ask: Callable[..., TrackerIssue],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
) -> None:
    issue = ask()
    pipeline.trackers(context)
    there.fake.close()
    body = spoken_of(there)
    path, header = signed(there, settings, body)
    monkeypatch.setattr("feedback_loop.integrations.hooks.views.utc_now", clock)
    assert client.post(path, data=body, headers=header).status_code == 204
    pipeline.trackers(context)
    assert not again(session, issue).is_open


def test_a_hook_that_is_not_theirs_does_nothing(
    client: FlaskClient,
    context: Context,
    session: Session,
    there: There,
    ask: Callable[..., TrackerIssue],
    settings: Settings,
) -> None:
    issue = ask()
    pipeline.trackers(context)
    due = again(session, issue).next_at
    body = spoken_of(there)
    path, header = signed(there, settings, body)
    for name, value in header.items():
        for wrong in ("", value[:-1], value + "0", "sha256=é", "0" * len(value)):
            headers = {name: wrong.encode("latin-1").decode("latin-1")}
            assert client.post(path, data=body, headers=headers).status_code == 403
    if there.kind != TrackerKind.GITLAB:
        assert client.post(path, data=body + b" ", headers=header).status_code == 403
    assert client.post(path, data=body).status_code == 403
    assert client.post("/hooks/unknown", data=body, headers=header).status_code == 404
    assert client.get(path).status_code == 405
    for odd in (b"", b"{", b"[]", b"null", b'{"issue": 1, "object_attributes": []}', b"[" * 5000):
        _, fits = signed(there, settings, odd)
        assert client.post(path, data=odd, headers=fits).status_code == 204
    assert again(session, issue).next_at == due


def test_too_long_a_hook_is_refused(client: FlaskClient, there: There, settings: Settings) -> None:
    body = b" " * (1024 * 1024 + 1)
    path, header = signed(there, settings, body)
    assert client.post(path, data=body, headers=header).status_code == 413


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (TrackerKind.GITHUB, {"project": "shop"}, "owner/repository"),
        (TrackerKind.GITHUB, {"project": "../.."}, "owner/repository"),
        (TrackerKind.GITLAB, {"project": "shop"}, "path of the project"),
        (TrackerKind.JIRA, {"project": "the shop"}, "key of the project"),
        (TrackerKind.JIRA, {"project": 'X" OR 1'}, "key of the project"),
        (TrackerKind.JIRA, {"base_url": ""}, "address of your Jira"),
        (TrackerKind.JIRA, {"account": ""}, "mail address of the account"),
        (TrackerKind.GITHUB, {"token": ""}, "Enter a token"),
        (TrackerKind.GITHUB, {"token": "a\nb"}, "plain letters"),
        (TrackerKind.GITHUB, {"base_url": "http://10.0.0.1"}, "private network"),
        (TrackerKind.GITHUB, {"base_url": "https://api.github.com?x=1"}, "question mark"),
    ],
)
def test_a_tracker_that_cannot_be_asked_is_not_taken(
    session: Session,
    cast: Cast,
    make: Make,
    settings: Settings,
    kind: TrackerKind,
    changes: dict[str, object],
    message: str,
) -> None:
    described = wanted(kind, "https://tracker.example", **changes)
    with pytest.raises(Refused, match=message):
        service.add_tracker(session, described, None, cast.ada, make.now, settings, outbound(settings))
    session.rollback()


def test_a_kept_token_does_not_go_to_another_address(there: There, session: Session, settings: Settings) -> None:
    with pytest.raises(Refused, match="Enter the token again"):
        service.set_up(
            there.tracker, wanted(there.kind, "https://evil.example", token=""), settings, outbound(settings)
        )
    session.rollback()


def test_tokens_are_kept_locked_away(there: There) -> None:
    assert TOKEN.encode() not in there.tracker.sealed_token


def test_customers_words_in_a_draft_address_nobody_and_link_nowhere(
    make: Make, cast: Cast, session: Session, settings: Settings, item: ActionItem
) -> None:
    statement = make.statement(item.complaint, text="@octocat see <img src=x> https://evil.example/x and #12, `now`")
    title, body = service.draft_of(item, [statement], settings)
    session.rollback()
    for bad in ("@octocat", "<img", "evil.example", "#12", "`"):
        assert bad not in body
    assert title.startswith("Parcel never came (C-")
    assert "Said by 2 customers and 1 statement of people we do not know." in body
    assert f"http://localhost/actions/{item.id}" in body
