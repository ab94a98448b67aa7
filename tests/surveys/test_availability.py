"""Whether a survey takes answers: decided purely."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from feedback_loop.surveys.availability import REASONS, STANDINGS, Availability, availability
from feedback_loop.surveys.models import Survey, SurveyState

NOW = datetime(2026, 10, 12, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)


def at(**values: Any) -> Availability:
    is_full = values.pop("is_full", False)
    return availability(Survey(**({"state": SurveyState.OPEN, "published_at": NOW - DAY} | values)), NOW, is_full)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, Availability.OPEN),
        ({"published_at": None}, Availability.DRAFT),
        ({"state": SurveyState.CLOSED}, Availability.PAUSED),
        ({"opens_at": NOW + DAY}, Availability.SCHEDULED),
        ({"opens_at": NOW}, Availability.OPEN),
        ({"closes_at": NOW}, Availability.ENDED),
        ({"closes_at": NOW + DAY}, Availability.OPEN),
        ({"is_full": True}, Availability.FULL),
        ({"archived_at": NOW}, Availability.ARCHIVED),
        # What a person did goes before clocks and counts.
        ({"archived_at": NOW, "published_at": None}, Availability.ARCHIVED),
        ({"state": SurveyState.CLOSED, "opens_at": NOW + DAY}, Availability.PAUSED),
        ({"published_at": None, "opens_at": NOW + DAY}, Availability.DRAFT),
        ({"closes_at": NOW, "is_full": True}, Availability.ENDED),
        ({"opens_at": NOW + DAY, "is_full": True}, Availability.SCHEDULED),
    ],
)
def test_a_survey_stands_where_its_state_dates_and_answers_put_it(
    values: dict[str, Any], expected: Availability
) -> None:
    assert at(**values) == expected


def test_every_standing_has_a_word_and_each_obstacle_a_way_out() -> None:
    assert set(STANDINGS) == set(Availability)
    assert set(REASONS) == set(Availability) - {Availability.OPEN}
