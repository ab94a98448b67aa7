from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from feedback_loop.db import Sessions
from feedback_loop.integrations.catalogue import EVENTS
from feedback_loop.integrations.models import Endpoint, EndpointKind
from feedback_loop.integrations.service import add_endpoint
from feedback_loop.outbound import outbound
from feedback_loop.pipeline import Context
from feedback_loop.settings import Settings
from tests.factories import Cast
from tests.integrations.servers import Server, serving


@dataclass
class Clock:
    """A clock that tests set."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings under which other systems may live on this machine."""
    return replace(settings, outbound_allow=("127.0.0.0/8",))


@pytest.fixture
def clock(now: datetime) -> Clock:
    return Clock(now)


@pytest.fixture
def context(settings: Settings, sessions: Sessions, clock: Clock) -> Context:
    return Context(settings, sessions, clock)


@pytest.fixture
def other() -> Iterator[Server]:
    """Another system, which takes what it is sent."""
    with serving() as server:
        yield server


@dataclass
class Adding:
    """Adds endpoints."""

    session: Session
    settings: Settings
    cast: Cast
    now: datetime
    secrets: list[str] = field(default_factory=list)

    def __call__(
        self, url: str, *events: str, kind: EndpointKind = EndpointKind.WEBHOOK, name: str = "House"
    ) -> Endpoint:
        endpoint, secret = add_endpoint(
            self.session, name, kind, url, events or list(EVENTS), self.cast.ada, self.now, self.settings,
            outbound(self.settings),
        )  # fmt: skip
        self.session.commit()
        self.secrets.append(secret)
        return endpoint


@pytest.fixture
def add(session: Session, settings: Settings, cast: Cast, now: datetime) -> Callable[..., Endpoint]:
    return Adding(session, settings, cast, now)
