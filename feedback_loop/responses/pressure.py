"""Is the open link of a survey under attack? Decided from counts of the last minutes; what follows is a proof of work
from browsers, never a refusal. Links of invitations ask for none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy.orm import Session

from feedback_loop.db import insert_missing
from feedback_loop.responses.models import Answer, Guard, SurveyPressure
from feedback_loop.surveys.models import Survey

WINDOW = timedelta(minutes=5)
FLOOR = 100  # answers in a window that need no explanation, however quiet the survey usually is
TIMES_USUAL = 10
REFUSED_FLOOR = 30  # what no person does, in a window
CALM = timedelta(minutes=15)  # an attack is over once it has been quiet for so long
AGAIN = timedelta(minutes=1)  # an attack that goes on is written down anew no more often than this
LOOK_EVERY = 10  # so many that came to one process make it tell the others, and look again
USUAL_OVER = timedelta(days=7)
USUAL_AGE = timedelta(hours=1)
_TABLE = SurveyPressure.__table__
# Made once, as every open page runs it.
KNOWN = select(*_TABLE.c).where(_TABLE.c.survey_id == bindparam("survey_id"))


@dataclass(frozen=True)
class Recent:
    """What reached one survey by its open link.

    Attributes:
        taken: Answers taken in during the window.
        refused: What came in the window and no person sends.
        usual: Answers in such a window as a rule.
        was_attacked: Whether it was taken to be under attack before.
    """

    taken: int
    refused: int
    usual: float
    was_attacked: bool = False


def attack(recent: Recent) -> str:
    """What speaks for an attack, in words; empty if nothing does. Half of what begins one lets it go on."""
    ease = 2 if recent.was_attacked else 1
    minutes = int(WINDOW.total_seconds() // 60)
    if recent.refused >= REFUSED_FLOOR / ease and recent.refused >= recent.taken / ease:
        return f"{recent.refused} forms in {minutes} minutes came as no person sends them."
    if recent.taken >= max(FLOOR, TIMES_USUAL * recent.usual) / ease:
        return f"{recent.taken} answers came in {minutes} minutes; {recent.usual:.1f} are usual."
    return ""


@dataclass(frozen=True)
class Pressure:
    """How hard a survey is pressed just now.

    Attributes:
        guard: What an admin chose.
        until: Until when it is under attack; None if it is not.
        reason: Why it is.
    """

    guard: Guard
    until: datetime | None = None
    reason: str = ""

    @property
    def asks_proof(self) -> bool:
        """Whether its open link asks for a proof of work."""
        return self.guard == Guard.ON or (self.guard == Guard.AUTOMATIC and self.until is not None)


def pressure(session: Session, survey: Survey, now: datetime) -> Pressure:
    """How hard a survey is pressed."""
    row = session.connection().execute(KNOWN, {"survey_id": survey.id}).one_or_none()
    return pressure_of(row.guard, row.until, row.reason, now) if row else pressure_of(None, None, None, now)


def pressure_of(guard: Guard | None, until: datetime | None, reason: str | None, now: datetime) -> Pressure:
    """How hard a survey is pressed, from its row, whose columns are all None where there is none."""
    is_attacked = until is not None and until > now
    return Pressure(guard or Guard.AUTOMATIC, until if is_attacked else None, reason or "" if is_attacked else "")


def is_calm(connection: Connection, survey_id: int, taken: int, refused: int, now: datetime) -> bool:
    """Whether `look` would write nothing, so that nobody has to wait for it."""
    row = connection.execute(KNOWN, {"survey_id": survey_id}).one_or_none()
    if row is None or row.usual_at is None or row.usual_at < now - USUAL_AGE:
        return False
    left = row.until - now if row.until is not None else timedelta()
    return left > CALM - AGAIN or not attack(Recent(taken, refused, row.usual, left > timedelta()))


def look(session: Session, survey_id: int, taken: int, refused: int, now: datetime) -> bool:
    """Decide anew from what came in this window; write down an attack, or that it goes on.

    Returns:
        Whether it is under attack.
    """
    row = row_of(session, survey_id)
    if row.usual_at is None or row.usual_at < now - USUAL_AGE:
        row.usual, row.usual_at = usual(session, survey_id, now), now
    was_attacked = row.until is not None and row.until > now
    reason = attack(Recent(taken, refused, row.usual, was_attacked))
    if reason:
        row.until, row.reason = now + CALM, reason
    session.flush()
    return bool(reason) or was_attacked


def usual(session: Session, survey_id: int, now: datetime) -> float:
    """Answers in one window, over the last week. The last hour is left out: it may be the attack."""
    until = now - USUAL_AGE
    count = session.scalar(
        select(func.count())
        .select_from(Answer)
        .where(Answer.survey_id == survey_id, Answer.answered_at.between(until - USUAL_OVER, until))
    )
    return (count or 0) / (USUAL_OVER / WINDOW)


def set_guard(session: Session, survey: Survey, guard: Guard) -> None:
    """Say when a survey asks for a proof. Whoever turns it off or on ends what was found."""
    row = row_of(session, survey.id)
    row.guard, row.until, row.reason = guard, None, ""
    session.flush()


def row_of(session: Session, survey_id: int) -> SurveyPressure:
    """What is known of a survey, made when there is none."""
    values = {"survey_id": survey_id, "guard": Guard.AUTOMATIC, "usual": 0.0, "reason": ""}
    if session.get(SurveyPressure, survey_id) is None:
        insert_missing(session, SurveyPressure, [values])
    return session.get_one(SurveyPressure, survey_id)
