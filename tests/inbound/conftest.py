"""A mailbox for what comes back, and mails of ours that went out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest
from sqlalchemy.orm import Session

from feedback_loop.db import Sessions
from feedback_loop.inbound.models import Way
from feedback_loop.inbound.taking import Taken, take
from feedback_loop.notifications import envelope
from feedback_loop.notifications.models import Notification
from feedback_loop.settings import Settings

Take = Callable[..., Taken]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With an address to which mails come back."""
    return replace(settings, inbound_address="loop@fernhill.example")


@pytest.fixture
def come_in(session: Session, sessions: Sessions, settings: Settings, now: datetime) -> Take:
    """Take in a mail, in transactions of its own: what the test wrote is committed first."""

    def taken(raw: bytes, at: datetime = now) -> Taken:
        session.commit()
        return take(sessions, settings, raw, Way.COMMAND, at)

    return taken


@pytest.fixture
def back(settings: Settings) -> Callable[[Notification], str]:
    """The address to which a mail comes back."""
    return lambda notification: envelope.sender(settings, notification.id)
