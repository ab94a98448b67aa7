from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.actions.models import ActionEvent, ActionItem, Notice, Status
from feedback_loop.actions.notices import tell
from feedback_loop.actions.service import Refused, add_comment
from feedback_loop.actions.triage import service as triaging
from feedback_loop.actions.triage import undoing
from feedback_loop.complaints.corrections import Wanted
from feedback_loop.complaints.models import CorrectionKind, Draft, DraftState
from feedback_loop.complaints.service import corrections
from feedback_loop.db import Sessions
from feedback_loop.pipeline import Context, wake
from feedback_loop.settings import Settings
from tests.factories import Cast, Make

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("recent", "before", "then", "returns"),
    [(4, 1, 0, True), (4, 1, 2, False), (5, 1, 2, True), (5, 5, 0, False), (2, 0, 0, False)],
)
def test_what_is_snoozed_returns_early_only_if_it_grows_beyond_what_was_known(
    recent: int, before: int, then: int, returns: bool
) -> None:
    assert triaging.returns_early(recent, before, then) == returns


def test_the_worker_wakes_what_grows_and_says_why(
    cast: Cast, make: Make, session: Session, sessions: Sessions, settings: Settings
) -> None:
    loud, quiet = make.raised_item(3, cast.delivery), make.raised_item(3, cast.delivery)
    for item in (loud, quiet):
        triaging.snooze(session, item, make.now + 7 * DAY, cast.lena, make.now)
    session.commit()
    context = Context(settings, sessions, clock=lambda: make.now + DAY)
    assert wake(context) == 0, "it grew before already, and whoever snoozed it knew that"
    for hours in range(1, 5):
        make.statement(loud.complaint, said_at=make.now + hours * HOUR)
    session.commit()
    assert wake(context) == 1
    session.expire_all()
    assert (loud.snoozed_until, quiet.snoozed_until) == (None, make.now + 7 * DAY)
    last = session.scalars(select(ActionEvent).order_by(ActionEvent.id.desc()).limit(1)).one()
    assert last.text == "Back in triage because it grows: said 7 times in the last seven days, 0 in the seven before."
    session.commit()
    assert wake(context) == 0


def test_a_snooze_ends_ahead_and_a_viewer_cannot_own(cast: Cast, make: Make, session: Session) -> None:
    item = make.raised_item(1, cast.delivery)
    with pytest.raises(Refused, match="still to come"):
        triaging.snooze(session, item, make.now, cast.lena, make.now)
    with pytest.raises(Refused, match="Vera cannot own action items"):
        triaging.triage(session, item, cast.delivery, cast.vera, cast.lena, make.now)
    assert session.scalars(select(ActionEvent)).all() == []


def notices(session: Session) -> list[tuple[int, str]]:
    session.flush()
    return [(each.user_id, each.text) for each in session.scalars(select(Notice).order_by(Notice.id))]


def undo(session: Session, cast: Cast, make: Make) -> triaging.Result:
    decision = undoing.last_decision(session, cast.lena, make.now)
    assert decision is not None
    return undoing.undo(session, decision, cast.lena, make.now)


def test_the_owner_hears_of_it_unless_it_is_taken_back_first(cast: Cast, make: Make, session: Session) -> None:
    item = make.raised_item(1, cast.delivery)
    triaging.triage(session, item, cast.payments, cast.olga, cast.lena, make.now)
    assert notices(session) == [(cast.olga.id, "Lena assigned this to you: Parcel never came")]
    undo(session, cast, make)
    assert notices(session) == []
    triaging.triage(session, item, cast.payments, cast.olga, cast.lena, make.now)
    session.flush()
    session.scalars(select(Notice)).one().mailed_at = make.now
    undo(session, cast, make)
    assert notices(session)[1] == (cast.olga.id, "Lena took back that this is yours: Parcel never came")


def test_decisions_are_taken_back_one_after_the_other_and_only_ones_own(
    cast: Cast, make: Make, session: Session
) -> None:
    items = [make.raised_item(1, cast.delivery, f"Complaint {number}") for number in range(3)]
    triaging.triage(session, items[0], cast.payments, None, cast.lena, make.now)
    triaging.dismiss(session, items[1], cast.lena, make.now)
    triaging.triage(session, items[2], cast.payments, None, cast.ada, make.now)
    assert undo(session, cast, make).done == [items[1]]
    assert undo(session, cast, make).done == [items[0]]
    assert undoing.last_decision(session, cast.lena, make.now) is None
    assert items[2].status == Status.TRIAGED
    assert undoing.last_decision(session, cast.ada, make.now + 13 * HOUR) is None, "not for good"


def test_an_undo_waits_for_corrections_that_build_on_it(cast: Cast, make: Make, session: Session) -> None:
    one, two, three = (make.raised_item(1, cast.delivery, f"Complaint {number}") for number in range(3))
    triaging.merge(session, one, two.complaint, cast.lena, make.now)
    corrections.at_once(
        session, Wanted(CorrectionKind.MERGE, two.complaint_id, three.complaint_id), cast.ada, "", make.now
    )
    result = undo(session, cast, make)
    assert result.done == []
    assert "Undo first what was done later" in result.refused[0][1]


def test_deciding_leaves_the_draft_of_corrections_alone(cast: Cast, make: Make, session: Session) -> None:
    one, two = make.raised_item(1, cast.delivery, "One"), make.raised_item(1, cast.delivery, "Two")
    corrections.add(session, Wanted(CorrectionKind.RENAME, two.complaint_id, name="Zwei"), cast.lena, make.now)
    triaging.dismiss(session, one, cast.lena, make.now)
    draft = corrections.open_draft(session, cast.lena)
    assert draft is not None
    assert [each.name for each in draft.corrections] == ["Zwei"]
    applied = session.scalars(select(Draft).where(Draft.state == DraftState.APPLIED)).one()
    assert (applied.why, applied.by_id) == ("Decided in triage.", cast.lena.id)


def test_of_several_the_refused_stay_as_they_are(cast: Cast, make: Make, session: Session) -> None:
    good, taken = make.raised_item(1, cast.delivery, "Good"), make.raised_item(1, cast.delivery, "Taken")
    taken.status = Status.IN_PROGRESS
    session.flush()

    def assign(item: ActionItem, together: str) -> None:
        triaging.triage(session, item, cast.payments, None, cast.lena, make.now, together)

    result = triaging.for_all(session, [taken, good], assign)
    assert (result.done, [item for item, _ in result.refused]) == ([good], [taken])
    assert (good.team_id, taken.team_id) == (cast.payments.id, cast.delivery.id)


def test_an_undo_that_changes_no_owner_tells_nobody_and_leaves_other_notices(
    cast: Cast, make: Make, session: Session
) -> None:
    item = make.raised_item(1, cast.delivery)
    item.owner = cast.omar
    tell(session, [cast.omar.id], item, "assigned", "“Parcel never came” is yours, by rule 1", make.now)
    by_rule = (cast.omar.id, "“Parcel never came” is yours, by rule 1")
    triaging.triage(session, item, cast.delivery, cast.omar, cast.lena, make.now)
    assert len(notices(session)) == 2
    undo(session, cast, make)
    assert (item.owner_id, notices(session)) == (cast.omar.id, [by_rule])
    triaging.triage(session, item, cast.delivery, cast.omar, cast.lena, make.now)
    for each in session.scalars(select(Notice)):
        each.mailed_at = make.now
    undo(session, cast, make)
    assert item.owner_id == cast.omar.id
    assert [text for _, text in notices(session) if "took back" in text] == []


def test_an_undo_takes_back_the_notice_of_an_entry_that_does_not_name_it(
    cast: Cast, make: Make, session: Session
) -> None:
    item = make.raised_item(1, cast.delivery)
    tell(session, [cast.olga.id], item, "assigned", "Earlier", make.now - HOUR)
    triaging.triage(session, item, cast.payments, cast.olga, cast.lena, make.now)
    entry = session.scalars(select(ActionEvent)).one()
    entry.data = {name: value for name, value in entry.data.items() if name != "notices"}
    session.flush()
    undo(session, cast, make)
    assert notices(session) == [(cast.olga.id, "Earlier")]


def test_an_undo_gives_back_whether_a_refine_may_empty_it(cast: Cast, make: Make, session: Session) -> None:
    item = make.raised_item(1, cast.delivery)
    item.complaint.kept = False
    triaging.snooze(session, item, make.now + DAY, cast.lena, make.now)
    triaging.triage(session, item, cast.payments, None, cast.lena, make.now)
    assert item.complaint.kept
    undo(session, cast, make)
    assert item.complaint.kept, "it is snoozed by somebody still"
    undo(session, cast, make)
    session.flush()
    session.expire_all()
    assert not item.complaint.kept


def test_what_somebody_worked_on_meanwhile_stays_theirs_after_an_undo(cast: Cast, make: Make, session: Session) -> None:
    item = make.raised_item(1, cast.delivery)
    item.complaint.kept = False
    triaging.snooze(session, item, make.now + DAY, cast.lena, make.now)
    add_comment(session, item, "I look at it", cast.omar, make.now)
    assert undo(session, cast, make).done == [item]
    assert item.complaint.kept


def test_a_snooze_does_not_replace_that_of_somebody_else(cast: Cast, make: Make, session: Session) -> None:
    item = make.raised_item(1, cast.delivery)
    triaging.snooze(session, item, make.now + 30 * DAY, cast.lena, make.now)
    with pytest.raises(Refused, match="is snoozed until 11 Nov 2026 already, by Lena"):
        triaging.snooze(session, item, make.now + DAY, cast.ada, make.now)
    assert item.snoozed_until == make.now + 30 * DAY
    triaging.snooze(session, item, make.now + 7 * DAY, cast.lena, make.now)
    assert item.snoozed_until == make.now + 7 * DAY, "one may change one’s own"
    undo(session, cast, make)
    with pytest.raises(Refused, match="until 11 Nov 2026 already, by Lena"):
        triaging.snooze(session, item, make.now + DAY, cast.ada, make.now)
    triaging.wake(session, item, cast.ada, make.now)
    triaging.snooze(session, item, make.now + DAY, cast.ada, make.now)
    triaging.snooze(session, item, make.now + 9 * DAY, cast.lena, make.now + 2 * DAY)
    assert item.snoozed_until == make.now + 9 * DAY, "one that is over is in nobody’s way"
