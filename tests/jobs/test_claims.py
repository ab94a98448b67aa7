"""Several workers, one database: each row is worked on by one of them."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta

from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions
from feedback_loop.jobs.claims import (
    WORKER,
    claim,
    forget_ticks,
    give_back,
    prolonged,
    still_ours,
    take_lease,
    take_tick,
)
from feedback_loop.jobs.models import Tick
from feedback_loop.notifications.models import Notification
from tests.factories import Make

LEASE = timedelta(minutes=1)


def owe(make: Make, count: int) -> None:
    for number in range(count):
        make.notification(event=f"closure:{number}")
    make.session.commit()


def take(sessions: Sessions, now: datetime, limit: int = 100) -> list:
    with sessions.begin() as session:
        return claim(session, Notification, [Notification.sent_at.is_(None)], [Notification.id], limit, now, LEASE)


def test_a_claimed_row_is_not_claimed_again_while_its_lease_runs(sessions: Sessions, make: Make, now: datetime) -> None:
    owe(make, 3)
    assert len(take(sessions, now, limit=2)) == 2
    assert len(take(sessions, now)) == 1
    assert take(sessions, now) == []


def test_rows_of_a_dead_worker_are_claimed_again_when_the_lease_is_over(
    sessions: Sessions, make: Make, now: datetime
) -> None:
    owe(make, 1)
    first = take(sessions, now)
    second = take(sessions, now + LEASE + timedelta(seconds=1))
    assert [c.id for c in first] == [c.id for c in second]
    assert second[0].fence == first[0].fence + 1


def test_a_worker_whose_lease_was_taken_over_writes_nothing(sessions: Sessions, make: Make, now: datetime) -> None:
    owe(make, 1)
    (late,) = take(sessions, now)
    (current,) = take(sessions, now + LEASE + timedelta(seconds=1))
    with sessions.begin() as session:
        assert not still_ours(session, Notification, late, {"reason": "late"})
        assert still_ours(session, Notification, current, {"reason": "in time"})
    with sessions() as session:
        assert session.get_one(Notification, late.id).reason == "in time"


def test_workers_that_claim_at_once_share_the_rows(sessions: Sessions, make: Make, now: datetime) -> None:
    owe(make, 60)
    claimed: list[int] = []

    def work() -> None:
        while found := take(sessions, now, limit=7):
            claimed.extend(each.id for each in found)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 60


def test_each_due_moment_is_run_by_one_clock(sessions: Sessions, now: datetime) -> None:
    won: list[bool] = []

    def look() -> None:
        for second in range(10):
            with sessions.begin() as session:
                won.append(take_tick(session, "refine", now + timedelta(seconds=second)))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(won) == 10


def test_old_ticks_are_forgotten(sessions: Sessions, now: datetime) -> None:
    with sessions.begin() as session:
        take_tick(session, "refine", now - timedelta(days=3))
        take_tick(session, "refine", now)
        forget_ticks(session, now - timedelta(days=2))
    with sessions() as session:
        assert session.query(Tick).count() == 1


def test_a_named_lease_has_one_holder(sessions: Sessions, now: datetime) -> None:
    def ask(holder: str, moment: datetime) -> bool:
        with sessions.begin() as session:
            return take_lease(session, "refine", moment, LEASE, holder)

    assert ask("one", now)
    assert not ask("two", now)
    assert ask("one", now), "the holder may prolong it"
    assert ask("two", now + LEASE * 2), "a dead holder loses it"
    with sessions.begin() as session:
        give_back(session, "refine", "one")
    assert not ask("one", now + LEASE * 2), "only the holder gives it back"


def test_a_right_is_prolonged_while_slow_work_goes_on_and_free_soon_after(sessions: Sessions) -> None:
    short, often = timedelta(seconds=1), timedelta(seconds=0.2)

    def ask(holder: str) -> bool:
        with sessions.begin() as session:
            return take_lease(session, "refine", utc_now(), short, holder)

    assert ask(WORKER)
    with prolonged(sessions, "refine", utc_now, short, often):
        time.sleep(1.5)
        assert not ask("another"), "the lease alone would be over by now"
    time.sleep(1.2)
    assert ask("another")
