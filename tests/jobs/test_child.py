"""Heavy work in a process of its own: what becomes of it, and of the refine it does."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from feedback_loop.complaints.due import refine_is_due
from feedback_loop.complaints.models import Complaint, Refine, RefineState
from feedback_loop.complaints.service.apart import refine_apart
from feedback_loop.complaints.service.refine import REFINE, RefineRunning
from feedback_loop.db import Sessions
from feedback_loop.jobs.child import ChildFailed, ChildStopped, run_apart
from feedback_loop.jobs.claims import take_lease
from feedback_loop.jobs.models import Lease
from feedback_loop.pipeline import Context, refine_when_due, understand
from feedback_loop.settings import Settings
from tests.factories import Make
from tests.jobs import children

LONG = timedelta(minutes=1)


def apart(work: Any, *arguments: Any, **changed: Any) -> Any:
    options = {"memory_mb": 0, "silence": LONG, "stop": lambda: False, "alive": lambda: None, "every": LONG}
    return run_apart(work, arguments, **{**options, **changed})


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_child_reports_and_returns() -> None:
    said: list[Any] = []
    assert apart(children.count_up, 3, report=lambda *each: said.append(each)) == 3
    assert said == [("counting", 0), ("counting", 1), ("counting", 2)]


@pytest.mark.parametrize(
    ("work", "why"),
    [
        (children.raise_error, "ValueError: nothing to compare"),
        (children.be_killed, "for want of memory"),
        (children.leave, "exit code 3"),
    ],
)
def test_a_child_that_fails_says_why(work: Any, why: str) -> None:
    with pytest.raises(ChildFailed, match=why):
        apart(work)


def test_what_a_child_was_working_on_is_not_told() -> None:
    with pytest.raises(ChildFailed, match=r"^ValueError: invalid literal") as caught:
        apart(children.raise_words)
    assert "0170" not in str(caught.value)


def test_a_child_that_is_stopped_together_with_the_worker_has_not_failed() -> None:
    said: list[Any] = []
    with pytest.raises(ChildStopped):
        apart(
            children.be_stopped_by_the_service_manager,
            stop=lambda: bool(said),
            report=lambda *each: (said.append(each), time.sleep(1.5)),
        )


def test_a_child_that_hangs_is_ended() -> None:
    pids: list[int] = []
    with pytest.raises(ChildFailed, match="no sign of life for 0:00:02"):
        apart(children.hang, silence=timedelta(seconds=2), report=lambda pid, _: pids.append(int(pid)))
    assert not is_running(*pids)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is told by /proc")
def test_a_child_that_takes_too_much_memory_is_ended() -> None:
    with pytest.raises(ChildFailed, match=r"more than the 150 MB of ANALYSIS_MEMORY_MB"):
        apart(children.take_memory, memory_mb=150)


def test_a_child_is_ended_when_the_worker_ends() -> None:
    pids: list[int] = []
    with pytest.raises(ChildStopped):
        apart(children.hang, stop=lambda: bool(pids), report=lambda pid, _: pids.append(int(pid)))
    assert not is_running(*pids)


def test_what_it_holds_is_prolonged_while_it_shows_life() -> None:
    prolonged: list[float] = []
    with pytest.raises(ChildStopped):
        apart(
            children.talk_on,
            every=timedelta(seconds=0.2),
            alive=lambda: prolonged.append(time.monotonic()),
            stop=lambda: len(prolonged) == 3,
        )


def test_a_refine_whose_process_dies_is_shown_and_changes_nothing(
    sessions: Sessions, settings: Settings, now: Any, make: Make
) -> None:
    make.complaint(name="Parcels come late")
    make.session.commit()
    with pytest.raises(ChildFailed):
        refine_apart(sessions, settings, lambda: now, lambda: False, work=children.refine_and_be_killed)
    with sessions() as session:
        run = session.scalars(select(Refine)).one()
        assert (run.state, run.model) == (RefineState.FAILED, "toy")
        assert "for want of memory" in run.message
        assert session.scalars(select(Complaint.name)).all() == ["Parcels come late"]
        assert session.get(Lease, REFINE) is None, "the next one need not wait"


def test_refines_that_fail_are_tried_again_later_and_later(sessions: Sessions, now: Any, make: Make) -> None:
    for _ in range(5):
        make.statement()
    make.session.commit()
    gap = timedelta(minutes=15)
    for waits in (10, 20, 40, 80):
        with sessions.begin() as session:
            assert refine_is_due(session, now, gap)
            session.add(
                Refine(
                    state=RefineState.FAILED, started_at=now, finished_at=now, model="toy", seed=1, seconds={},
                    versions={}, changes={}, message="",
                )
            )  # fmt: skip
            session.flush()
            assert not refine_is_due(session, now + timedelta(minutes=waits, seconds=-1), gap)
            now += timedelta(minutes=waits)


def test_one_refine_runs_at_a_time(sessions: Sessions, settings: Settings, now: Any) -> None:
    with sessions.begin() as session:
        assert take_lease(session, REFINE, now, LONG, "another worker")
    with pytest.raises(RefineRunning):
        refine_apart(sessions, settings, lambda: now, lambda: False, work=children.refine_well)


def test_a_worker_refines_in_a_process_of_its_own(sessions: Sessions, settings: Settings, make: Make) -> None:
    survey = make.survey()
    for number in range(12):
        make.answer(f"The parcel came {number} days late, and delivery is slow", survey=survey, analysed_at=None)
    make.session.commit()
    context = Context(settings, sessions, refines_apart=True)
    understand(context)
    assert refine_when_due(context) == 1
    with sessions() as session:
        run = session.scalars(select(Refine)).one()
    assert (run.state, run.statements, run.model) == (RefineState.DONE, 12, "toy")
