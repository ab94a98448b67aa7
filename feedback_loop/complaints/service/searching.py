"""Asking for what was said, by its meaning. The web writes the question down; a worker answers it (`find.py`)."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, literal, or_, select
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import User
from feedback_loop.analysis.redaction import KINDS, redact
from feedback_loop.complaints.models import Search, SearchState, Statement
from feedback_loop.db import clean_text
from feedback_loop.jobs.bell import ring

LONGEST = 500  # characters; a search is one thing, said in a sentence or two
LONGEST_READ = 10_000  # more is not even redacted, which takes time
REUSED_FOR = timedelta(minutes=10)
KEPT_FOR = timedelta(days=1)
# Written into the statement, not bound: only so does a database see that the partial index ix_searches_waiting fits.
WAITING = Search.state == literal(SearchState.WAITING, Search.state.type, literal_execute=True)


class Refused(ValueError):
    """What was asked for cannot be searched; the message says why, for people."""


def due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """What makes a search wait for a worker."""
    return WAITING, or_(Search.claimed_until.is_(None), Search.claimed_until < now)


def ask(session: Session, text: str, by: User, now: datetime, region: str | None = None) -> Search:
    """Search for statements that mean what a text says.

    Personal details are blanked out before anything is stored. The same words asked by the same person a moment ago
    are not searched again.

    Args:
        session: A session that writes.
        text: As typed.
        by: Who asks.
        now: The present moment.
        region: Two-letter country by whose rules national phone numbers are read.

    Raises:
        Refused: There is nothing to search for, or too much.
    """
    text = " ".join(clean_text(text).split())
    if not text:
        raise Refused("Enter what to search for, in the words of a customer.")
    if len(text) <= LONGEST_READ:
        text = redact(text, region).text
    if len(text) > LONGEST:
        raise Refused(f"Enter at most {LONGEST} characters: one thing, in a sentence or two.")
    if not any(character.isalnum() for character in without_placeholders(text)):
        raise Refused(
            "Enter what people say, not who they are: personal details and numbers are blanked out here as everywhere."
        )
    return asked_before(session, text, None, by, now) or write_down(session, text, None, by, now)


def ask_like(session: Session, statement: Statement, by: User, now: datetime) -> Search:
    """Search for statements that mean what this one says."""
    found = asked_before(session, statement.text, statement.id, by, now)
    return found or write_down(session, statement.text, statement.id, by, now)


def without_placeholders(text: str) -> str:
    """What redaction left of a text."""
    for kind in KINDS:
        text = text.replace(f"[{kind}]", " ")
    return text


def asked_before(session: Session, text: str, statement_id: int | None, by: User, now: datetime) -> Search | None:
    """The same search by the same person, done or on its way, if it is fresh."""
    return session.scalar(
        select(Search)
        .where(
            Search.made_at > now - REUSED_FOR,
            Search.by_id == by.id,
            Search.text == text,
            Search.statement_id.is_(None) if statement_id is None else Search.statement_id == statement_id,
            Search.state != SearchState.FAILED,
        )
        .order_by(Search.id.desc())
        .limit(1)
    )


def write_down(session: Session, text: str, statement_id: int | None, by: User, now: datetime) -> Search:
    """Leave a search for a worker."""
    search = Search(by_id=by.id, text=text, statement_id=statement_id, made_at=now)
    session.add(search)
    session.flush()
    ring(session, "search")
    return search


def forget_searches(session: Session, now: datetime) -> int:
    """Delete searches of yesterday and before; what they found is out of date.

    Returns:
        How many were deleted.
    """
    return session.execute(delete(Search).where(Search.made_at < now - KEPT_FOR)).rowcount  # type: ignore[attr-defined, no-any-return]
