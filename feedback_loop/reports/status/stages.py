"""What became of what a customer said, in stages that customers know. Decided purely, from what is known of each
problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from feedback_loop.actions.models import CHANGED, Outcome, Status

WORKED_ON = (Status.IN_PROGRESS, Status.WAITING, Status.REOPENED)
FEWEST_OTHERS = 3  # fewer others could be guessed


class Stage(StrEnum):
    """How far it is."""

    HEARD = "heard"
    WORKED_ON = "worked_on"
    DONE = "done"
    DECLINED = "declined"


@dataclass(frozen=True)
class Closed:
    """One closing of the work on a problem.

    Attributes:
        is_released: Whether somebody has said that customers are told.
        starts_at: From when they are; None where that follows from when it was closed.
    """

    id: int
    outcome: Outcome
    statement: str
    at: datetime
    is_withdrawn: bool
    is_released: bool = True
    starts_at: datetime | None = None

    def is_told(self, now: datetime, hold: timedelta) -> bool:
        """Whether it can no longer be taken back unseen, as for the mails about it."""
        return not self.is_withdrawn and self.is_released and (self.starts_at or self.at + hold) <= now


@dataclass(frozen=True)
class Problem:
    """A problem that an answer speaks of.

    Attributes:
        words: The customer's, redacted.
        said_at: When.
        status: Of the work on it; None where there is none, or where the problem was put away.
        closings: Of that work, the newest first.
        others: How many other people said the same.
    """

    words: str
    said_at: datetime
    status: Status | None = None
    closings: Sequence[Closed] = ()
    others: int = 0


@dataclass(frozen=True)
class Shown:
    """A problem as its customer sees it.

    Attributes:
        words: Theirs; empty where the whole answer is meant.
        stage: How far it is.
        statement: What they are told about its end; empty before.
        at: When that was settled.
        tried_at: When it was called done before work on it began again.
        others: How many others said the same; None where that would be too few to tell.
        closing_id: Of the closing they are told about.
    """

    words: str
    stage: Stage
    statement: str = ""
    at: datetime | None = None
    tried_at: datetime | None = None
    others: int | None = None
    closing_id: int | None = None


def show(problem: Problem, now: datetime, hold: timedelta) -> Shown:
    """Decide how far a problem is, for the person who spoke of it.

    A closing counts once it can no longer be taken back unseen, as for the mails about it; and only if they spoke of
    the problem before it: what was said to be done earlier is no reply to them.

    Args:
        problem: What is known.
        now: The present moment.
        hold: How long a closing can be taken back before anybody is told.
    """
    others = problem.others if problem.others >= FEWEST_OTHERS else None
    told = [each for each in problem.closings if each.at >= problem.said_at and each.is_told(now, hold)]
    last = told[0] if told else None
    is_closed = problem.status in (Status.CLOSED, Status.VERIFIED)
    if is_closed and last is not None and last == newest(problem):
        stage = Stage.DONE if last.outcome in CHANGED else Stage.DECLINED
        return Shown(problem.words, stage, last.statement, last.at, None, others, last.id)
    is_held = is_closed and any(not each.is_told(now, hold) for each in problem.closings if not each.is_withdrawn)
    # What came back is being worked on from the moment somebody has decided about it again.
    is_taken_up = problem.status in WORKED_ON or (problem.status == Status.TRIAGED and last is not None)
    if is_taken_up or is_held:
        tried_at = last.at if last is not None and last.outcome in CHANGED else None
        return Shown(problem.words, Stage.WORKED_ON, tried_at=tried_at, others=others)
    return Shown(problem.words, Stage.HEARD, others=others)


def newest(problem: Problem) -> Closed | None:
    """The closing that holds."""
    return next((each for each in problem.closings if not each.is_withdrawn), None)
