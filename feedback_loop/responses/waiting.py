"""Answers that wait for a worker, and what becomes of one that no worker can read.

One answer must not hold up the others: not one at which the program fails, nor one at which the whole process dies.
Those that have been tried twice without an end are tried one by one; after five tries an answer is set aside with the
reason, and a person decides (Settings, Stuck).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.orm import Session

from feedback_loop.clock import day_of
from feedback_loop.db import Sessions
from feedback_loop.jobs.claims import Claim, claim
from feedback_loop.responses.models import Answer, RawComment

MOST_TRIES = 5
ALONE_FROM = 2  # tries
DIED = "The worker ended, or was ended, each time it worked at this answer."


def to_redact() -> list[ColumnElement[bool]]:
    """Answers whose words are still to be redacted."""
    return [Answer.redacted_at.is_(None), Answer.set_aside_at.is_(None)]


def to_analyse() -> list[ColumnElement[bool]]:
    """Answers that are redacted and still to be analysed."""
    return [Answer.redacted_at.is_not(None), Answer.analysed_at.is_(None), Answer.set_aside_at.is_(None)]


def claim_answers(
    session: Session, due: Sequence[ColumnElement[bool]], limit: int, now: datetime, lease: timedelta
) -> list[Claim]:
    """Claim answers: many that are new, or one at which somebody failed before. Commit before the slow work begins.

    Those that have been tried too often are set aside first.
    """
    session.execute(
        update(Answer)
        .where(*due, Answer.attempts >= MOST_TRIES, or_(Answer.claimed_until.is_(None), Answer.claimed_until < now))
        .values(set_aside_at=now, claimed_until=None)
        .execution_options(synchronize_session=False)
    )
    return claim(session, Answer, [*due, Answer.attempts < ALONE_FROM], [Answer.id], limit, now, lease) or claim(
        session, Answer, [*due, Answer.attempts >= ALONE_FROM], [Answer.attempts, Answer.id], 1, now, lease
    )


def try_again(session: Session, ids: Sequence[int], _now: datetime) -> int:
    """Let workers try answers again that were set aside."""
    return session.execute(  # type: ignore[attr-defined, no-any-return]
        update(Answer)
        .where(Answer.id.in_(ids), Answer.set_aside_at.is_not(None))
        .values(set_aside_at=None, attempts=0, trouble="", claimed_until=None, fence=Answer.fence + 1)
        .execution_options(synchronize_session=False)
    ).rowcount


def leave_out(session: Session, ids: Sequence[int], now: datetime) -> int:
    """Give answers up that were set aside: they belong to no complaint. What could not be redacted is destroyed, for
    nobody may see it as it was typed."""
    aside = (Answer.id.in_(ids), Answer.set_aside_at.is_not(None))
    unread = list(session.scalars(select(Answer.id).where(*aside, Answer.redacted_at.is_(None))))
    done = {"set_aside_at": None, "analysed_at": day_of(now), "claimed_until": None, "fence": Answer.fence + 1}
    if unread:
        session.execute(delete(RawComment).where(RawComment.answer_id.in_(unread)))
        session.execute(
            update(Answer)
            .where(Answer.id.in_(unread))
            .values(comment="", redacted_at=day_of(now))
            .execution_options(synchronize_session=False)
        )
    return session.execute(  # type: ignore[attr-defined, no-any-return]
        update(Answer).where(*aside).values(done).execution_options(synchronize_session=False)
    ).rowcount


def is_of_the_row(error: Exception) -> bool:
    """Whether what was worked on may be why: not where the database, the disk or the memory fails, nor a model that is
    not there."""
    if isinstance(error, (DataError, IntegrityError)):
        return True
    if isinstance(error, StatementError) and not isinstance(error, DBAPIError):
        return True  # a value that no column takes
    from feedback_loop.analysis.embedding.embedder import EmbedderUnavailable

    return not isinstance(error, (SQLAlchemyError, OSError, MemoryError, EmbedderUnavailable))


def note_trouble(sessions: Sessions, failed: Claim, doing: str, error: Exception) -> None:
    """Write down why one answer could not be worked on. It stays claimed until the lease ends, and is tried again."""
    why = f"{doing} it failed ({type(error).__name__}); the log of the worker says where."
    with sessions.begin() as session:
        session.execute(
            update(Answer).where(Answer.id == failed.id, Answer.fence == failed.fence).values(trouble=why[:300])
        )


def give_back(sessions: Sessions, claims: Sequence[Claim], trouble: str = "", until: datetime | None = None) -> None:
    """Let claims go without blame: it was not theirs that nothing came of it.

    Args:
        trouble: Why nothing came of it.
        until: Not to be claimed again before; at once by default.
    """
    values = {"claimed_until": until, "attempts": Answer.attempts - 1, **({"trouble": trouble} if trouble else {})}
    ids = defaultdict(list)  # by fence, of which there are few: a worker that is to end has little time
    for each in claims:
        ids[each.fence].append(each.id)
    with sessions.begin() as session:
        for fence, some in sorted(ids.items()):
            session.execute(
                update(Answer)
                .where(Answer.id.in_(some), Answer.fence == fence)
                .values(values)
                .execution_options(synchronize_session=False)
            )
