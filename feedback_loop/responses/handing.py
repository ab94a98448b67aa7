"""Handing customers what they typed, when they ask what is kept of them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from feedback_loop.accounts.models import User
from feedback_loop.responses.models import Answer, RawComment, UnconfirmedAnswer
from feedback_loop.responses.originals import Destroyed, NoRight, read_raw
from feedback_loop.responses.raw import RawTextUnreadable, unseal
from feedback_loop.responses.service import Refused
from feedback_loop.settings import Settings


def hand_over(
    session: Session, answer: Answer | UnconfirmedAnswer, by: User | None, why: str, now: datetime, settings: Settings
) -> str:
    """What was typed of an answer, or why it cannot be handed over; empty where nothing is kept beside the redacted.

    Args:
        by: Who hands it over; of an answer it is logged as each reading is, and needs the right. None for the command
            line, where whoever has the key needs none.
    """
    try:
        if by is None:
            raw = answer if isinstance(answer, UnconfirmedAnswer) else session.get(RawComment, answer.id)
            return unseal(raw.sealed, settings.secret_key) if raw is not None and raw.sealed else ""
        if isinstance(answer, UnconfirmedAnswer):
            return "Kept encrypted until it counts or is forgotten; the command line shows it." if answer.sealed else ""
        return read_raw(session, answer, by, why, now, settings)
    except NoRight:
        kept = session.get(RawComment, answer.id)
        return "Kept encrypted; whoever has the right to read originals gets it here." if kept else ""
    except Destroyed:
        return ""
    except (Refused, RawTextUnreadable) as error:
        waits = isinstance(answer, Answer) and answer.redacted_at is None
        is_kept = session.get(RawComment, answer.id) is not None
        return str(error) if is_kept and (waits or isinstance(error, RawTextUnreadable)) else ""
