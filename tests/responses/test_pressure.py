"""When a survey is taken to be under attack."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from feedback_loop.responses.models import Guard
from feedback_loop.responses.pressure import CALM, Pressure, Recent, attack, look, pressure, set_guard
from tests.factories import Make


@pytest.mark.parametrize(
    ("recent", "is_attack"),
    [
        (Recent(0, 0, 0), False),
        (Recent(99, 0, 0), False),
        (Recent(100, 0, 0), True),
        (Recent(200, 0, 50), False),
        (Recent(500, 0, 50), True),
        (Recent(0, 29, 0), False),
        (Recent(0, 30, 0), True),
        (Recent(80, 30, 20), False),
    ],
)
def test_an_attack_is_far_more_than_usual_or_what_no_person_sends(recent: Recent, is_attack: bool) -> None:
    assert bool(attack(recent)) == is_attack


def test_half_of_what_begins_an_attack_lets_it_go_on() -> None:
    assert attack(Recent(50, 0, 0, was_attacked=True))
    assert not attack(Recent(49, 0, 0, was_attacked=True))
    assert attack(Recent(0, 15, 0, was_attacked=True))


def test_a_switch_goes_before_what_was_found(now: datetime) -> None:
    assert not Pressure(Guard.OFF, now).asks_proof
    assert Pressure(Guard.ON).asks_proof
    assert Pressure(Guard.AUTOMATIC, now).asks_proof
    assert not Pressure(Guard.AUTOMATIC).asks_proof


def test_an_attack_lasts_until_it_has_been_quiet(session: Session, make: Make, now: datetime) -> None:
    survey = make.survey()
    assert not look(session, survey.id, 20, 0, now)
    assert look(session, survey.id, 120, 0, now)
    later = now + timedelta(minutes=10)
    assert look(session, survey.id, 60, 0, later), "half of it lets it go on"
    assert pressure(session, survey, later + CALM - timedelta(seconds=1)).asks_proof
    assert not pressure(session, survey, later + CALM).asks_proof
    assert not look(session, survey.id, 60, 0, later + CALM), "half of it begins none"


def test_what_is_usual_is_the_week_before(session: Session, make: Make, now: datetime) -> None:
    survey = make.survey()
    for minutes in range(0, 7 * 24 * 60, 30):  # one in six windows
        make.answer("", survey=survey, said_at=now - timedelta(hours=1, minutes=minutes))
    make.answer("", survey=survey, said_at=now)
    look(session, survey.id, 150, 0, now)
    assert pressure(session, survey, now).reason == "150 answers came in 5 minutes; 0.2 are usual."


def test_turning_the_switch_ends_what_was_found(session: Session, make: Make, now: datetime) -> None:
    survey = make.survey()
    look(session, survey.id, 120, 0, now)
    set_guard(session, survey, Guard.AUTOMATIC)
    assert not pressure(session, survey, now).asks_proof
