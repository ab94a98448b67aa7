"""A worker that is killed at any moment loses nothing and repeats no mail that was recorded as sent."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime

from sqlalchemy import func, select

from feedback_loop.complaints.models import Statement
from feedback_loop.db import Sessions, reading
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.responses.models import Answer
from feedback_loop.responses.service import record_answer
from feedback_loop.settings import Settings
from tests.factories import Make
from tests.smtp import Sink, running

MAILS = 60
KILLS = 4
ANSWERS = 1500


def worker(settings: Settings, port: int, stderr: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    environ = {
        **os.environ,
        "DATA_FOLDER": str(settings.data_folder),
        "DATABASE_URL": settings.database_url,
        "SECRET_KEY": settings.secret_key,
        "SMTP_PORT": str(port),
        "SMTP_TIMEOUT": "1",
        "MAIL_FROM": settings.mail_from,
        "PUBLIC_URL": settings.public_url,
        "EMBEDDING_MODEL": "toy",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "feedback_loop.cli", "worker"],
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
    )


def sent_ids(sessions: Sessions) -> set[str]:
    with reading(sessions) as session:
        query = select(Notification.message_id).where(Notification.state == NotificationState.SENT)
        return set(session.scalars(query))


def test_kill_9_loses_nothing_and_repeats_nothing_that_was_recorded(
    make: Make, sessions: Sessions, settings: Settings
) -> None:
    survey_customer = [make.customer(f"Person {number}") for number in range(MAILS)]
    for customer in survey_customer:
        make.notification(customer=customer)
    make.session.commit()
    chance = random.Random(7)
    kills = 0
    with running(Sink(delay=0.02)) as sink:
        process = worker(settings, sink.port)
        deadline = time.monotonic() + 150
        try:
            while time.monotonic() < deadline:
                recorded = sent_ids(sessions)
                if len(recorded) == MAILS:
                    break
                if kills < KILLS and len(recorded) >= (kills + 1) * MAILS // (KILLS + 2):
                    time.sleep(chance.random() * 0.1)
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    kills += 1
                    recorded = sent_ids(sessions)
                    seen = Counter(sink.message_ids)
                    # Leases of the dead worker would run for a minute; the test does not wait for them.
                    with sessions.begin() as session:
                        session.execute(Notification.__table__.update().values(claimed_until=None))
                    process = worker(settings, sink.port)
                    time.sleep(1)
                    again = Counter(sink.message_ids) - seen
                    assert not recorded & set(again), "a mail that was recorded as sent went out again"
                time.sleep(0.05)
        finally:
            process.kill()
            process.wait()
        arrived = Counter(sink.message_ids)
    with reading(sessions) as session:
        states = session.execute(select(Notification.state, func.count()).group_by(Notification.state)).all()
    assert states == [(NotificationState.SENT, MAILS)]
    assert kills == KILLS
    assert len(arrived) == MAILS, "every mail arrived"
    assert sum(arrived.values()) - MAILS <= kills, "at most one repeat for each kill, with the same Message-ID"


def test_kill_9_in_the_middle_of_the_analysis_loses_no_answer(
    make: Make, sessions: Sessions, settings: Settings, now: datetime
) -> None:
    survey = make.survey()
    for number in range(ANSWERS):
        record_answer(
            make.session, survey, score=0, comment=f"The zip of rucksack {number} broke. Nobody answers my mails.",
            customer=None, invitation=None, context={}, external_id=None, answered_at=now, now=now, settings=settings,
        )  # fmt: skip
    make.session.commit()

    def analysed() -> int:
        with reading(sessions) as session:
            return session.scalar(select(func.count()).where(Answer.analysed_at.is_not(None))) or 0

    kills = 0
    process = worker(settings, 9)
    deadline = time.monotonic() + 120
    try:
        while analysed() < ANSWERS and time.monotonic() < deadline:
            if kills < 3 and claimed(sessions):
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
                # Leases of the dead worker would run for minutes; the test does not wait for them.
                with sessions.begin() as session:
                    session.execute(Answer.__table__.update().values(claimed_until=None))
                process = worker(settings, 9)
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    with reading(sessions) as session:
        mains = session.scalar(select(func.count()).where(Statement.position == 0))
        texts = session.scalar(select(func.count(Statement.text.distinct())).where(Statement.position == 0))
    assert (kills, analysed(), mains, texts) == (3, ANSWERS, ANSWERS, ANSWERS)


def claimed(sessions: Sessions) -> bool:
    """Whether a worker is in the middle of a batch of answers."""
    with reading(sessions) as session:
        return session.scalar(select(Answer.id).where(Answer.claimed_until.is_not(None)).limit(1)) is not None


def test_a_worker_stops_cleanly_when_asked(sessions: Sessions, settings: Settings) -> None:
    process = worker(settings, 9, stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if b"looks for work" in line:
                break
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
