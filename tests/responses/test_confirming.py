"""Did a person give this answer? The decision by itself, with the real limits of time."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from feedback_loop.responses import confirming
from feedback_loop.responses.confirming import Evidence, Seen, Standing, judge
from feedback_loop.responses.models import Sign

LATER = timedelta(seconds=8)


@pytest.fixture(autouse=True)
def the_real_limits(readers_are_quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirming, "SENT_AFTER", timedelta(seconds=1))
    monkeypatch.setattr(confirming, "GESTURE_AFTER", timedelta(seconds=1))


def standing(now: datetime, sign: Sign, score: int | None = 4, age: timedelta = LATER, **known: object) -> Standing:
    return judge(Evidence(sign=sign, score=score, now=now, page_age=age, **known)).standing  # type: ignore[arg-type]


def test_pressing_send_counts(now: datetime) -> None:
    assert standing(now, Sign.SENT) == Standing.CONFIRMED


def test_a_movement_counts_only_where_the_survey_lets_it(now: datetime) -> None:
    assert standing(now, Sign.GESTURE) == Standing.CONFIRMED
    assert standing(now, Sign.GESTURE, takes_gestures=False) == Standing.PROVISIONAL


def test_opening_a_page_never_counts(now: datetime) -> None:
    assert standing(now, Sign.OPENED) == Standing.PROVISIONAL


@pytest.mark.parametrize("sign", [Sign.SENT, Sign.GESTURE])
@pytest.mark.parametrize(("milliseconds", "suspect"), [(-50, True), (0, True), (999, True), (1000, False)])
def test_what_comes_sooner_than_people_are_is_suspect(
    now: datetime, sign: Sign, milliseconds: int, suspect: bool
) -> None:
    found = standing(now, sign, age=timedelta(milliseconds=milliseconds))
    assert (found == Standing.SUSPECT) == suspect


@pytest.mark.parametrize("sign", list(Sign)[:3])
def test_what_was_fetched_ahead_is_suspect(now: datetime, sign: Sign) -> None:
    assert standing(now, sign, is_prefetch=True) == Standing.SUSPECT


@pytest.mark.parametrize("sign", [Sign.OPENED, Sign.GESTURE])
def test_two_scores_opened_within_seconds_are_suspect(now: datetime, sign: Sign) -> None:
    other = Seen(Sign.OPENED, 2, now - timedelta(seconds=3))
    long_ago = Seen(Sign.OPENED, 2, now - timedelta(seconds=11))
    same = Seen(Sign.OPENED, 4, now - timedelta(seconds=3))
    assert standing(now, sign, earlier=(other,)) == Standing.SUSPECT
    assert standing(now, sign, earlier=(long_ago, same)) != Standing.SUSPECT


def test_who_corrects_the_score_at_once_is_a_person_who_sends_three_is_not(now: datetime) -> None:
    one, two = (Seen(Sign.SENT, score, now - timedelta(seconds=4)) for score in (1, 2))
    opened = tuple(Seen(Sign.OPENED, score, now - timedelta(seconds=4)) for score in range(11))
    assert standing(now, Sign.SENT, earlier=(one,)) == Standing.CONFIRMED
    assert standing(now, Sign.SENT, earlier=(one, two)) == Standing.SUSPECT
    assert standing(now, Sign.SENT, earlier=opened) == Standing.CONFIRMED, "a filter opened all links just before"


@pytest.mark.parametrize("seconds", [-30, 30])
def test_movements_near_the_hidden_link_are_suspect_send_is_not(now: datetime, seconds: int) -> None:
    trapped_at = now + timedelta(seconds=seconds)
    assert standing(now, Sign.GESTURE, trapped_at=trapped_at) == Standing.SUSPECT
    assert standing(now, Sign.OPENED, trapped_at=trapped_at) == Standing.SUSPECT
    assert standing(now, Sign.SENT, trapped_at=trapped_at) == Standing.CONFIRMED
    assert standing(now, Sign.GESTURE, trapped_at=now - timedelta(seconds=31)) == Standing.CONFIRMED


def test_every_judgement_says_why(now: datetime) -> None:
    for sign in list(Sign)[:3]:
        for takes in (True, False):
            reason = judge(Evidence(sign, 1, now, LATER, takes_gestures=takes)).reason
            assert reason.endswith(".")
            assert len(reason) > 10
