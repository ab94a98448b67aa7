"""The scales: scores, tones, usual words, and the figure each is summed up by."""

from __future__ import annotations

import pytest

from feedback_loop.surveys.metrics import LEAST_FOR_MEAN, Figure, Unit, wilson
from feedback_loop.surveys.models import ScaleName
from feedback_loop.surveys.scales import SCALES, USUAL, Scale


def counted(scale: Scale, *scores: int) -> Figure | None:
    """The figure of some scores, counted as queries count them: 0 where nobody chose one."""
    return scale.figure({choice.score: scores.count(choice.score) for choice in scale.choices})


def of(name: ScaleName, *scores: int) -> Figure:
    found = counted(SCALES[name], *scores)
    assert found is not None
    return found


@pytest.mark.parametrize("scale", SCALES.values(), ids=lambda scale: scale.name.value)
def test_a_scale_has_words_of_its_own(scale: Scale) -> None:
    assert scale.title
    assert {scale.question, scale.prompt_low, scale.prompt_high} <= USUAL
    assert (scale.metric is None) == (not scale.choices)
    assert [scale.parse(choice.written) for choice in scale.choices] == [choice.score for choice in scale.choices]


@pytest.mark.parametrize(
    ("name", "tones"),
    [
        (ScaleName.HELPFUL, "LH"),
        (ScaleName.CSAT, "LLMHH"),
        (ScaleName.CES, "LLLMHHH"),
        (ScaleName.NPS, "LLLLLLLMMHH"),
        (ScaleName.STARS, "LLMHH"),
        (ScaleName.SMILEYS, "LLMHH"),
    ],
)
def test_each_score_has_a_tone_and_low_ones_call_for_help(name: ScaleName, tones: str) -> None:
    scale = SCALES[name]
    assert "".join(scale.tone(choice.score).name[0] for choice in scale.choices) == tones
    assert [scale.is_low(choice.score) for choice in scale.choices] == [tone == "L" for tone in tones]


@pytest.mark.parametrize("name", ScaleName)
def test_nothing_answered_has_no_figure(name: ScaleName) -> None:
    assert counted(SCALES[name]) is None


def test_helpful_is_the_share_of_yes() -> None:
    assert of(ScaleName.HELPFUL, 1, 1, 1, 0).value == 0.75


@pytest.mark.parametrize("name", [ScaleName.CSAT, ScaleName.SMILEYS])
def test_satisfaction_is_the_share_of_the_two_best(name: ScaleName) -> None:
    found = of(name, 1, 3, 4, 5, 5)
    assert (found.value, found.base) == (0.6, 5)


def test_effort_is_the_share_of_those_who_found_it_easy() -> None:
    assert of(ScaleName.CES, 1, 4, 5, 7).value == 0.5


def test_recommendation_is_promoters_less_detractors() -> None:
    found = of(ScaleName.NPS, 10, 9, 9, 9, 8, 7, 7, 6, 0, 3)
    assert (found.value, found.metric.unit) == (10, Unit.POINTS)
    assert of(ScaleName.NPS, 0, 0).value == -100
    assert of(ScaleName.NPS, 7, 8).value == 0


def test_stars_are_their_mean() -> None:
    found = of(ScaleName.STARS, 5, 4, 3)
    assert (found.value, found.top) == (4, 5)


def test_a_share_is_as_uncertain_as_wilson_says() -> None:
    low, high = wilson(8, 10)  # 49 % to 94 %, as in tables
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)
    assert wilson(0, 5)[0] == 0
    assert wilson(5, 5)[1] == 1
    assert of(ScaleName.CSAT, 5, 5, 5, 5, 4, 4, 4, 4, 1, 2).interval == (low, high)


def test_more_answers_are_more_certain_and_stay_on_the_scale() -> None:
    for name, scores in ((ScaleName.NPS, [10, 0, 9]), (ScaleName.STARS, [5, 4, 5]), (ScaleName.CES, [7, 1, 6])):
        few, many = of(name, *scores * 4), of(name, *scores * 400)
        assert few.interval is not None
        assert many.interval is not None
        assert few.interval[0] < many.interval[0] < many.value < many.interval[1] < few.interval[1]
    assert of(ScaleName.STARS, *[5] * LEAST_FOR_MEAN).interval == (5, 5)
    lowest = of(ScaleName.NPS, *[0] * 3).interval
    assert lowest is not None
    assert lowest[0] == -100
    assert lowest[1] < 50


def test_few_stars_have_no_range() -> None:
    assert of(ScaleName.STARS, 5, 1, 3).interval is None
