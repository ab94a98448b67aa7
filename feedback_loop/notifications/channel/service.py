"""Verbs on the mail channel."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy.orm import Session

from feedback_loop.notifications.budget import Rank
from feedback_loop.notifications.channel.queries import TEST
from feedback_loop.notifications.owing import Owed, owe
from feedback_loop.settings import Settings

PAGE = "/settings/mail"


def owe_test(session: Session, recipient: str, address: str, name: str, now: datetime, settings: Settings) -> None:
    """Owe one of us a mail that says only that it arrived. It goes the way of all mails."""
    owed = Owed(recipient, address, name, {"links": {"page_url": PAGE}})
    event = f"test:{uuid.uuid4().hex}"  # as often as they like
    owe(session, TEST, event, [owed], next_at=now, now=now, settings=settings, rank=Rank.STAFF)
