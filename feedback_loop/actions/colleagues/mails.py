"""Mails to colleagues: what is urgent at once, the rest in a digest, by everybody's own choice.

Each mail is owed in the transaction that marks what it says as told, so that no number of workers says it twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import Digest, User
from feedback_loop.actions.colleagues.digests import (
    LINES,
    Line,
    Section,
    comes_on,
    moment_of,
    path,
    sections,
    unmailed,
    working_days,
)
from feedback_loop.actions.colleagues.reminding import is_stale
from feedback_loop.actions.models import Notice
from feedback_loop.db import Sessions, reading
from feedback_loop.jobs.claims import queue, take_tick
from feedback_loop.jobs.models import Tick
from feedback_loop.notifications.budget import Rank
from feedback_loop.notifications.service import Owed, owe
from feedback_loop.settings import Settings

NEWS, DIGEST = "staff_news", "staff_digest"
LINKS = {"site_url": "", "mails_url": "/settings/my-mails"}


def tell_colleagues(sessions: Sessions, settings: Settings, now: datetime) -> int:
    """Owe colleagues the mails that are due.

    Returns:
        How many mails.
    """
    let_go(sessions, now)
    return tell_urgent(sessions, settings, now) + send_digests(sessions, settings, now)


def let_go(sessions: Sessions, now: datetime) -> None:
    """Mark as told what nobody will be told: news of people who cannot sign in, or who want urgent mails only."""
    away = select(User.id).where(or_(~User.is_active, User.digest == Digest.OFF))
    unwanted = (
        Notice.mailed_at.is_(None),
        Notice.user_id.in_(away),
        or_(~Notice.is_urgent, Notice.user_id.in_(select(User.id).where(~User.is_active))),
    )
    with reading(sessions) as session:
        if session.scalar(select(Notice.id).where(*unwanted).limit(1)) is None:
            return
    with sessions.begin() as session:
        session.execute(
            update(Notice).where(*unwanted).values(mailed_at=now).execution_options(synchronize_session=False)
        )


def tell_urgent(sessions: Sessions, settings: Settings, now: datetime) -> int:
    """Owe each person one mail with everything urgent that they have not been told."""
    with reading(sessions) as session:
        urgent = select(Notice.user_id).where(Notice.mailed_at.is_(None), Notice.is_urgent)
        ids = session.scalars(urgent.distinct().order_by(Notice.user_id)).all()
    count = 0
    for user_id in ids:
        with sessions.begin() as session:
            queue(session, "tell colleagues")  # of two workers the second finds it told
            count += tell_one(session, session.get_one(User, user_id), settings, now)
    return count


def tell_one(session: Session, user: User, settings: Settings, now: datetime) -> int:
    """Owe one person what is urgent.

    Returns:
        1, or 0 where nothing is true any more.
    """
    notices = unmailed(session, user, urgent=True)
    mark_told(session, notices, now)
    news = [each for each in notices if not is_stale(each.kind, each.action_item, now)]
    if not news:
        return 0
    section = Section("", [Line(each.text, path(each.action_item_id)) for each in news[:LINES]], len(news))
    owe_to(session, user, NEWS, f"news:{news[-1].id}", [section], settings, now)
    return 1


def mark_told(session: Session, notices: Sequence[Notice], now: datetime) -> None:
    """Mark what a person is told now, or was too late to be news."""
    session.execute(
        update(Notice)
        .where(Notice.id.in_([each.id for each in notices]))
        .values(mailed_at=now)
        .execution_options(synchronize_session=False)
    )


def send_digests(sessions: Sessions, settings: Settings, now: datetime) -> int:
    """Owe everybody whose digest comes today theirs, once; nothing where there is nothing to say."""
    day = now.astimezone(ZoneInfo(settings.default_time_zone)).date()
    at = moment_of(day, settings)
    if now < at:
        return 0
    with reading(sessions) as session:
        calendar = working_days(session, settings)
        wanted = [digest for digest in Digest if comes_on(digest, day, calendar)]
        # Whoever came after the hour waits for the next one.
        people = session.scalars(select(User.id).where(User.is_active, User.digest.in_(wanted), User.created_at <= at))
        done = set(session.scalars(select(Tick.job).where(Tick.due_at == at, Tick.job.startswith("digest:"))))
        ids = [id for id in people if job_of(id) not in done]
    count = 0
    for user_id in ids:
        with sessions.begin() as session:
            if take_tick(session, job_of(user_id), at):
                count += send_digest(session, session.get_one(User, user_id), f"digest:{day}", settings, now)
    return count


def job_of(user_id: int) -> str:
    """Under which name the clock knows a person's digest."""
    return f"digest:{user_id}"


def send_digest(session: Session, user: User, event: str, settings: Settings, now: datetime) -> int:
    """Owe one person their digest.

    Returns:
        1, or 0 where there is nothing to say.
    """
    notices = unmailed(session, user, urgent=False)
    found = sections(session, user, notices, now)
    mark_told(session, notices, now)
    if not found:
        return 0
    owe_to(session, user, DIGEST, event, found, settings, now)
    return 1


def owe_to(
    session: Session, user: User, kind: str, event: str, found: list[Section], settings: Settings, now: datetime
) -> None:
    """Owe one colleague a mail."""
    data = {"sections": [section.as_json for section in found], "total": sum(each.total for each in found),
            "links": LINKS}  # fmt: skip
    owed = Owed(f"user:{user.id}", user.email, user.name, data)
    owe(session, kind, event, [owed], next_at=now, now=now, settings=settings, rank=Rank.STAFF)


def choose_digest(session: Session, user: User, digest: Digest, settings: Settings, now: datetime) -> None:
    """Choose how often the digest comes. The next one comes at its hour, never at once."""
    user.digest = digest
    at = moment_of(now.astimezone(ZoneInfo(settings.default_time_zone)).date(), settings)
    if now >= at:
        take_tick(session, job_of(user.id), at)
