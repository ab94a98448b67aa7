"""How far a problem is, for the person who spoke of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from feedback_loop.actions.models import Outcome, Status
from feedback_loop.reports.status.stages import Closed, Problem, Stage, show

NOW = datetime(2026, 10, 12, 9, 30, tzinfo=UTC)
HOLD = timedelta(minutes=10)
SAID = NOW - timedelta(days=5)
FIXED = Closed(1, Outcome.FIXED, "Parcels carry two labels.", NOW - timedelta(days=1), False)
DECLINED = replace(FIXED, id=2, outcome=Outcome.DECLINED, statement="It would cost too much.")
OPEN = Problem("The parcel never came.", SAID, Status.NEW)


@pytest.mark.parametrize(
    ("status", "closings", "stage"),
    [
        (None, [], Stage.HEARD),
        (Status.NEW, [], Stage.HEARD),
        (Status.TRIAGED, [], Stage.HEARD),
        (Status.IN_PROGRESS, [], Stage.WORKED_ON),
        (Status.WAITING, [], Stage.WORKED_ON),
        (Status.TRIAGED, [FIXED], Stage.WORKED_ON),
        (Status.CLOSED, [FIXED], Stage.DONE),
        (Status.VERIFIED, [FIXED], Stage.DONE),
        (Status.CLOSED, [DECLINED], Stage.DECLINED),
        (Status.REOPENED, [FIXED], Stage.WORKED_ON),
        (Status.CLOSED, [DECLINED, replace(FIXED, at=NOW - timedelta(days=2))], Stage.DECLINED),
    ],
)
def test_the_stage_follows_the_work(status: Status | None, closings: list[Closed], stage: Stage) -> None:
    assert show(replace(OPEN, status=status, closings=closings), NOW, HOLD).stage == stage


def test_an_end_comes_with_what_customers_are_told() -> None:
    shown = show(replace(OPEN, status=Status.CLOSED, closings=[FIXED]), NOW, HOLD)
    assert (shown.statement, shown.at, shown.closing_id) == ("Parcels carry two labels.", FIXED.at, 1)


def test_a_closing_that_may_still_be_taken_back_is_not_shown() -> None:
    fresh = replace(FIXED, at=NOW - timedelta(minutes=9))
    shown = show(replace(OPEN, status=Status.CLOSED, closings=[fresh]), NOW, HOLD)
    assert (shown.stage, shown.statement) == (Stage.WORKED_ON, "")


def test_one_that_was_taken_back_never_was() -> None:
    back = replace(FIXED, is_withdrawn=True)
    shown = show(replace(OPEN, status=Status.REOPENED, closings=[back]), NOW, HOLD)
    assert (shown.stage, shown.tried_at) == (Stage.WORKED_ON, None)


def test_what_was_done_before_they_spoke_is_no_reply_to_them() -> None:
    later = replace(OPEN, said_at=NOW - timedelta(hours=1), status=Status.CLOSED, closings=[FIXED])
    assert show(later, NOW, HOLD).stage == Stage.HEARD


def test_work_that_began_again_says_since_when_it_was_thought_done() -> None:
    assert show(replace(OPEN, status=Status.REOPENED, closings=[FIXED]), NOW, HOLD).tried_at == FIXED.at


@pytest.mark.parametrize(("others", "told"), [(0, None), (2, None), (3, 3), (40, 40)])
def test_few_others_are_not_counted_out(others: int, told: int | None) -> None:
    assert show(replace(OPEN, others=others), NOW, HOLD).others == told
