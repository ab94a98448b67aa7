"""Blanking personal details out of what customers typed, before anybody reads it."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update

from feedback_loop.analysis.redaction import Redaction, redact
from feedback_loop.clock import day_of
from feedback_loop.db import Sessions
from feedback_loop.jobs.claims import Claim, all_still_ours
from feedback_loop.responses.models import Answer, RawComment
from feedback_loop.responses.raw import RawTextUnreadable, unseal
from feedback_loop.responses.waiting import claim_answers, give_back, is_of_the_row, note_trouble, to_redact
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import Survey

log = logging.getLogger(__name__)
REDACTION_LEASE = timedelta(minutes=2)
OTHER_KEY = "It was stored under another SECRET_KEY. Give the worker that key; nothing is lost until then."


def redact_pending(sessions: Sessions, settings: Settings, now: datetime, limit: int = 500) -> int:
    """Redact answers that wait for it: claim, redact with no transaction open, write where nothing has changed since.

    Returns:
        How many were redacted; 0 means none is waiting.
    """
    with sessions.begin() as session:
        claims = claim_answers(session, to_redact(), limit, now, REDACTION_LEASE)
        if not claims:
            return 0
        # By hand, not by relationship: the raw text is fetched only where it is needed.
        sealed = {
            row.answer_id: row
            for row in session.scalars(select(RawComment).where(RawComment.answer_id.in_([c.id for c in claims])))
        }
        anonymous = set(
            session.scalars(
                select(Answer.id).join(Survey).where(Answer.id.in_([c.id for c in claims]), Survey.is_anonymous)
            )
        )
    done: list[tuple[Claim, Redaction]] = []
    unreadable: list[Claim] = []
    for each in claims:
        raw = sealed.get(each.id)
        try:
            text = unseal(raw.sealed, settings.secret_key) if raw else ""
            done.append((each, redact(text, settings.phone_region or None)))
        except RawTextUnreadable:
            unreadable.append(each)
        except Exception as error:
            if not is_of_the_row(error):
                raise
            log.exception("Answer %d could not be redacted.", each.id)
            note_trouble(sessions, each, "Blanking out personal details of", error)
    if unreadable:
        # Left waiting, and without blame: with the right key they are read after all.
        log.error("%d answers cannot be redacted: %s", len(unreadable), OTHER_KEY)
        give_back(sessions, unreadable, OTHER_KEY, now + REDACTION_LEASE)
    with sessions.begin() as session:
        ours = all_still_ours(session, Answer, claims)
        values = [
            {
                "id": each.id,
                "comment": redaction.text,
                "redactions": [found.kind for found in redaction.found],
                "redacted_at": day_of(now) if each.id in anonymous else now,
                "claimed_until": None,
                "attempts": 0,
                "trouble": "",
            }
            for each, redaction in done
            if each.id in ours
        ]
        if values:
            session.execute(update(Answer), values)
        if settings.raw_text_days == 0:
            session.execute(delete(RawComment).where(RawComment.answer_id.in_([row["id"] for row in values])))
    return len(done)
