"""Waiting, going on, checklists, links, watchers, mentions and the history: the verbs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from feedback_loop.actions import service
from feedback_loop.actions.changes import since
from feedback_loop.actions.details import checklist, links, watching
from feedback_loop.actions.models import ActionEvent, ActionItem, LinkKind, Notice, Status, Watcher
from feedback_loop.actions.service import Refused
from feedback_loop.actions.stream import Show, stream
from feedback_loop.complaints.models import ComplaintState
from tests.factories import Cast, Make


def events(make: Make, item: ActionItem) -> list[ActionEvent]:
    make.session.flush()
    rows = select(ActionEvent).where(ActionEvent.action_item_id == item.id).order_by(ActionEvent.id)
    return list(make.session.scalars(rows))


def told(make: Make) -> list[tuple[str, str, str]]:
    make.session.flush()
    return [(row.user.name, row.kind, row.text) for row in make.session.scalars(select(Notice).order_by(Notice.id))]


def test_what_waits_says_for_what_and_since_when(make: Make, cast: Cast, now: datetime) -> None:
    item = make.item(team=cast.delivery)
    service.take_on(make.session, item, cast.omar, now)
    service.wait(make.session, item, "  the carrier’s\n offer ", cast.lena, now)
    assert (item.status, item.waiting_for, item.waiting_since) == (Status.WAITING, "the carrier’s offer", now)
    last = events(make, item)[-1]
    assert last.data["changes"] == [
        ["Status", "in progress", "waiting"],
        ["Waiting for", "nothing", "the carrier’s offer"],
    ]
    assert told(make) == [("Omar", "waiting", "Lena: it waits for the carrier’s offer")]


@pytest.mark.parametrize("how", ["go_on", "take_on", "close"])
def test_however_waiting_ends_the_history_says_how_long_it_was(make: Make, cast: Cast, now: datetime, how: str) -> None:
    item = make.raised_item(1, cast.delivery)
    service.take_on(make.session, item, cast.omar, now - timedelta(days=9))
    service.wait(make.session, item, "an offer", cast.omar, now - timedelta(days=2))
    if how == "go_on":
        service.go_on(make.session, item, cast.lena, now)
        assert (item.status, item.owner) == (Status.IN_PROGRESS, cast.omar), "the owner stays"
    elif how == "take_on":
        service.take_on(make.session, item, cast.lena, now)
        assert (item.status, item.owner) == (Status.IN_PROGRESS, cast.lena)
        assert ("Omar", "assigned", "Lena took this on in your place.") in told(make)
    else:
        make.closure(item, cast.omar)
    assert (item.waiting_for, item.waiting_since) == ("", None)
    assert [each.data["waited_seconds"] for each in events(make, item) if "waited_seconds" in each.data] == [2 * 86_400]


def test_going_on_with_what_nobody_owns_makes_the_owner(make: Make, cast: Cast, now: datetime) -> None:
    item = make.item(team=cast.delivery, status=Status.TRIAGED)
    service.wait(make.session, item, "an offer", cast.omar, now)
    service.go_on(make.session, item, cast.omar, now + timedelta(hours=5))
    assert item.owner is cast.omar
    assert events(make, item)[-1].text == "Goes on, after it had waited 5 hours."


@pytest.mark.parametrize("status", [Status.NEW, Status.WAITING, Status.CLOSED, Status.VERIFIED])
def test_what_is_new_or_closed_or_waits_already_is_not_made_to_wait(
    make: Make, cast: Cast, now: datetime, status: Status
) -> None:
    item = make.item(team=cast.delivery, status=status)
    with pytest.raises(Refused, match="cannot be made to wait"):
        service.wait(make.session, item, "an offer", cast.omar, now)
    if status != Status.WAITING:
        with pytest.raises(Refused, match="cannot be gone on with"):
            service.go_on(make.session, item, cast.omar, now)


@pytest.mark.parametrize("what_for", ["", "  \n ", "x" * 301])
def test_waiting_needs_a_reason_of_sensible_length(make: Make, cast: Cast, now: datetime, what_for: str) -> None:
    item = make.item(team=cast.delivery, status=Status.IN_PROGRESS)
    with pytest.raises(Refused, match="Say "):
        service.wait(make.session, item, what_for, cast.omar, now)
    assert item.status == Status.IN_PROGRESS


def test_whoever_first_decides_about_an_item_triages_it(make: Make, cast: Cast, now: datetime) -> None:
    assigned, taken = make.item(team=cast.delivery), make.item(team=cast.delivery)
    service.assign(make.session, assigned, cast.payments, None, cast.lena, now)
    service.take_on(make.session, taken, cast.omar, now)
    assert (assigned.status, assigned.triaged_at) == (Status.TRIAGED, now)
    assert (taken.status, taken.triaged_at) == (Status.IN_PROGRESS, now)
    service.assign(make.session, assigned, cast.delivery, None, cast.lena, now + timedelta(days=1))
    assert assigned.triaged_at == now


@pytest.mark.parametrize("by_customers", [True, False])
def test_reopening_clears_what_belonged_to_the_earlier_work(
    make: Make, cast: Cast, now: datetime, by_customers: bool
) -> None:
    item = make.raised_item(1, cast.delivery)
    service.set_due(make.session, item, now - timedelta(days=1), cast.omar, now)
    make.closure(item, cast.omar)
    item.snoozed_until = now + timedelta(days=3)
    service.reopen(make.session, item, "Wet again.", None if by_customers else cast.lena, now)
    assert (item.due_at, item.snoozed_until, item.waiting_for, item.waiting_since) == (None, None, "", None)
    assert item.triaged_at == (None if by_customers else now), "what customers reopen is to be decided about again"
    assert ["Due", "11 Oct 2026, 09:30 UTC", "no date"] in events(make, item)[-1].data["changes"]


def test_a_due_date_to_come_outlives_reopening(make: Make, cast: Cast, now: datetime) -> None:
    item = make.raised_item(1, cast.delivery)
    service.set_due(make.session, item, now + timedelta(days=9), cast.omar, now)
    make.closure(item, cast.omar)
    service.reopen(make.session, item, "Wet again.", None, now)
    assert item.due_at == now + timedelta(days=9)


def test_owner_and_watchers_hear_of_assignment_comments_closing_and_reopening(
    make: Make, cast: Cast, now: datetime
) -> None:
    item = make.raised_item(1, cast.delivery)
    watching.watch(make.session, item, [cast.vera.id, cast.vera.id], now)
    service.assign(make.session, item, cast.delivery, cast.omar, cast.lena, now)
    assert told(make) == [
        ("Omar", "assigned", "Lena assigned this to you."),
        ("Vera", "assigned", "Lena assigned this to Delivery, Omar."),
    ]
    service.add_comment(make.session, item, "Asked the carrier.", cast.omar, now)
    assert told(make)[2:] == [("Vera", "comment", "Omar: Asked the carrier.")], "nobody hears of what they did"
    make.closure(item, cast.omar)
    assert told(make)[3:] == [("Vera", "closed", "Omar closed this as fixed: Parcels now carry two labels.")]
    service.reopen(make.session, item, "Two of three say no.", None, now)
    assert [(name, kind) for name, kind, _ in told(make)[4:]] == [("Omar", "reopened"), ("Vera", "reopened")]
    service.assign(make.session, item, cast.payments, cast.olga, cast.lena, now)
    assert {name for name, kind, _ in told(make)[6:] if kind == "assigned"} == {"Olga", "Omar", "Vera"}
    assert not any(row.is_urgent for row in make.session.scalars(select(Notice)))


def test_whoever_is_mentioned_is_told_once_and_watches(make: Make, cast: Cast, now: datetime) -> None:
    item = make.item(team=cast.delivery, owner=cast.omar)
    make.user("Gone", is_active=False)
    found = service.add_comment(make.session, item, "@Olga @omar @Gone @Vera and me, @Lena", cast.lena, now)
    assert found.unknown == ("Gone",)
    assert [(name, kind) for name, kind, _ in told(make)] == [
        ("Omar", "mention"), ("Olga", "mention"), ("Vera", "mention"),
    ]  # fmt: skip
    assert [user.name for user in watching.watchers(make.session, item)] == ["Olga", "Omar", "Vera"]
    assert events(make, item)[0].text == "@Olga @omar @Gone @Vera and me, @Lena"
    service.add_comment(make.session, item, "@Olga again", cast.lena, now)
    assert len(make.session.scalars(select(Watcher)).all()) == 3


def test_a_long_comment_is_told_in_short(make: Make, cast: Cast, now: datetime) -> None:
    item = make.item(team=cast.delivery, owner=cast.omar)
    service.add_comment(make.session, item, "x" * 4000, cast.lena, now)
    assert len(told(make)[0][2]) == 500


def test_a_lead_lets_others_watch_who_are_told(make: Make, cast: Cast, now: datetime) -> None:
    item = make.item(team=cast.delivery)
    watching.add_watcher(make.session, item, cast.vera, cast.lena, now)
    assert told(make) == [("Vera", "watching", "Lena lets you watch this.")]
    assert events(make, item)[-1].text == "Vera watches this now."
    watching.unwatch(make.session, item, cast.vera)
    assert watching.watchers(make.session, item) == []
    with pytest.raises(Refused, match="not active"):
        watching.add_watcher(make.session, item, make.user("Gone", is_active=False), cast.lena, now)


def test_a_checklist_is_kept_in_order_and_counted(make: Make, cast: Cast, now: datetime) -> None:
    session, item = make.session, make.item(team=cast.delivery)
    first, second, third = (checklist.add(session, item, text, cast.omar, now) for text in ("a", " b\n c ", "d"))
    checklist.move(session, item, third, -1)
    checklist.move(session, item, first, -1)
    checklist.set_done(session, item, second, True, cast.lena, now)
    checklist.set_done(session, item, second, True, cast.omar, now)
    listed = checklist.checklist(session, item)
    assert [(each.text, each.done_by) for each in listed.entries] == [("a", None), ("d", None), ("b c", cast.lena)]
    assert (listed.done, len(listed.open)) == (1, 2)
    checklist.rename(session, item, first, "A", "a", cast.omar, now)
    checklist.set_done(session, item, second, False, cast.omar, now)
    checklist.delete(session, item, third, cast.omar, now)
    assert [each.text for each in checklist.checklist(session, item).entries] == ["A", "b c"]
    assert [(row.text, row.data.get("changes")) for row in events(make, item)[3:]] == [
        ("Checklist: “b c” is done.", None),
        ("Checklist: an entry was changed.", [["Entry", "a", "A"]]),
        ("Checklist: “b c” is open again.", None),
        ("Checklist: deleted “d”.", None),
    ]


def test_an_entry_that_reads_differently_meanwhile_is_not_overwritten(make: Make, cast: Cast, now: datetime) -> None:
    item = make.item(team=cast.delivery)
    entry = checklist.add(make.session, item, "Ask Maya", cast.omar, now)
    checklist.rename(make.session, item, entry, "Ask Ada", "Ask Maya", cast.lena, now)
    with pytest.raises(checklist.Overtaken, match="reads now: “Ask Ada”"):
        checklist.rename(make.session, item, entry, "Ask Vera", "Ask Maya", cast.omar, now)
    assert entry.text == "Ask Ada"


@pytest.mark.parametrize(("text", "message"), [(" ", "Enter what"), ("x" * 301, "at most 300")])
def test_a_bad_entry_is_refused(make: Make, cast: Cast, now: datetime, text: str, message: str) -> None:
    item = make.item(team=cast.delivery)
    with pytest.raises(Refused, match=message):
        checklist.add(make.session, item, text, cast.omar, now)


def test_a_checklist_ends_somewhere(make: Make, cast: Cast, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checklist, "MOST", 2)
    item = make.item(team=cast.delivery)
    for text in "ab":
        checklist.add(make.session, item, text, cast.omar, now)
    with pytest.raises(Refused, match="at most 2 entries"):
        checklist.add(make.session, item, "c", cast.omar, now)


def test_entries_of_another_item_are_not_reached(make: Make, cast: Cast, now: datetime) -> None:
    item, other = make.item(team=cast.delivery), make.item(team=cast.payments)
    entry = checklist.add(make.session, other, "a", cast.olga, now)
    link = links.add(make.session, other, "https://a.example", "", LinkKind.TRACKER, cast.olga, now)
    make.session.flush()
    with pytest.raises(Refused, match="gone"):
        checklist.entry_of(make.session, item, entry.id)
    with pytest.raises(Refused, match="gone"):
        links.link_of(make.session, item, link.id)


def test_links_have_a_title_and_their_end_stands_in_the_history(make: Make, cast: Cast, now: datetime) -> None:
    session, item = make.session, make.item(team=cast.delivery)
    url = "https://tracker.example/issues/42?x=1"
    link = links.add(session, item, f" {url} ", "", LinkKind.TRACKER, cast.omar, now)
    named = links.add(session, item, "http://a.example", " The  log ", LinkKind.ATTACHMENT, cast.omar, now)
    assert (link.title, named.title) == ("tracker.example … 42", "The log")
    with pytest.raises(links.BadAddress, match="already"):
        links.add(session, item, url, "Again", LinkKind.TRACKER, cast.omar, now)
    links.delete(session, item, link, cast.lena, now)
    session.flush()
    assert [each.title for each in links.links(session, item)] == ["The log"]
    last = events(make, item)[-1]
    assert (last.text, last.data["url"]) == ("Deleted the link “tracker.example … 42”.", url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "Enter an address."),
        ("javascript:alert(1)", "begins with https://"),
        ("JavaScript://x.example/%0aalert(1)", "begins with https://"),
        ("ftp://a.example/x", "begins with https://"),
        ("//a.example/x", "begins with https://"),
        ("tracker.example/42", "begins with https://"),
        ("https://", "begins with https://"),
        ("https://a.example/a b", "without spaces"),
        ("https://a.example/a\nb", "without spaces"),
        ("https://user:secret@a.example/", "without a user name or password"),
        ("https://[::1/x", "such as https://"),
        ("https://a.example:99999/", "such as https://"),
        ("https://a.example/" + "x" * 1000, "at most 1,000"),
    ],
)
def test_a_bad_address_is_refused(make: Make, cast: Cast, now: datetime, url: str, message: str) -> None:
    item = make.item(team=cast.delivery)
    with pytest.raises(links.BadAddress, match=message):
        links.add(make.session, item, url, "", LinkKind.TRACKER, cast.omar, now)


def test_a_title_too_long_is_refused(make: Make, cast: Cast, now: datetime) -> None:
    item = make.item(team=cast.delivery)
    with pytest.raises(Refused, match="at most 200"):
        links.add(make.session, item, "https://a.example", "x" * 201, LinkKind.TRACKER, cast.omar, now)


@pytest.mark.parametrize("state", [ComplaintState.DISMISSED, ComplaintState.MERGED])
def test_what_was_put_aside_is_not_worked_on(make: Make, cast: Cast, now: datetime, state: ComplaintState) -> None:
    into = make.complaint().id if state == ComplaintState.MERGED else None
    complaint = make.complaint("Gone", state=state, merged_into_id=into)
    item = make.item(complaint, cast.delivery, status=Status.IN_PROGRESS)
    for verb in (
        lambda: service.wait(make.session, item, "x", cast.omar, now),
        lambda: checklist.add(make.session, item, "x", cast.omar, now),
        lambda: links.add(make.session, item, "https://a.example", "", LinkKind.TRACKER, cast.omar, now),
    ):
        with pytest.raises(Refused):
            verb()


def test_the_history_is_one_stream_of_what_happened_and_what_was_said_since(
    make: Make, cast: Cast, now: datetime
) -> None:
    item = make.raised_item(2, cast.delivery)  # said before it was opened: stands above, not in the history
    hour = timedelta(hours=1)
    service.take_on(make.session, item, cast.omar, now + hour)
    for hours in (2, 3):
        make.statement(item.complaint, f"Wet at {hours}", said_at=now + hours * hour)
    service.add_comment(make.session, item, "Ask them", cast.omar, now + 4 * hour)
    make.statement(item.complaint, "Wet at 5", said_at=now + 5 * hour)
    service.note(make.session, item, "comment", "Not fixed.", None, now + 6 * hour)
    make.session.commit()

    def shown(show: Show) -> list[str]:
        page = stream(make.session, item, show, 1)
        return [
            each.event.text if each.event else " + ".join(said.text for said in each.statements) for each in page.rows
        ]

    assert shown(Show.ALL) == ["Not fixed.", "Wet at 5", "Ask them", "Wet at 3 + Wet at 2", "Omar took this on."]
    assert shown(Show.COMMENTS) == ["Ask them"]
    assert shown(Show.CHANGES) == ["Omar took this on."]
    assert shown(Show.CUSTOMERS) == ["Not fixed.", "Wet at 5 + Wet at 3 + Wet at 2"]
    assert stream(make.session, item, Show.ALL, 1).total == 6


def test_what_changed_since_leaves_out_what_overwrites_nothing(make: Make, cast: Cast, now: datetime) -> None:
    item = make.item(team=cast.delivery)
    make.session.flush()
    seen = item.version
    service.add_comment(make.session, item, "Hello", cast.lena, now)
    checklist.add(make.session, item, "a", cast.lena, now)
    assert since(make.session, item, seen) == []
    item.priority_reason = "4 people × 2"
    service.note(make.session, item, "priority", "High now.", None, now)
    assert item.version > seen
    assert since(make.session, item, seen) == [], "the program works that out anew all the time"
    service.assign(make.session, item, cast.delivery, cast.omar, cast.lena, now)
    assert [each.text for each in since(make.session, item, seen)] == ["Assigned to Delivery, Omar."]
    assert since(make.session, item, item.version) == []
    assert since(make.session, item, None) == []


def test_a_due_date_by_hand_lies_at_most_five_years_ahead(make: Make, cast: Cast, now: datetime) -> None:
    session, item = make.session, make.raised_item(1, cast.delivery)
    latest = datetime(2031, 10, 12, 23, 59, 59, tzinfo=UTC)
    with pytest.raises(Refused, match="Choose a day until 12 Oct 2031: a due date lies at most 5 years ahead"):
        service.set_due(session, item, latest + timedelta(days=1), cast.omar, now)
    assert item.due_at is None
    service.set_due(session, item, latest, cast.omar, now)
    assert (item.due_at, item.due_by_hand) == (latest, True)
    assert service.latest_due(datetime(2028, 2, 29, tzinfo=UTC)).date() == date(2033, 2, 28)
