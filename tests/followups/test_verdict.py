"""Is it fixed? What the answers decide."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_loop.followups.models import VerdictKind
from feedback_loop.followups.verdict import Tally, decide, needs_second_look, noes_needed, share_of_yes, wilson_lower


@pytest.mark.parametrize(
    ("asked", "yes", "no", "is_over", "kind"),
    [
        (12, 0, 0, False, None),
        (12, 1, 0, False, None),
        (100, 3, 0, False, None),  # never a green tick from three answers
        (100, 4, 0, False, VerdictKind.VERIFIED),
        (3, 3, 0, False, VerdictKind.VERIFIED),  # everybody has answered
        (12, 0, 1, False, VerdictKind.NOT_FIXED),
        (100, 0, 1, False, None),  # one voice of a hundred reopens nothing
        (100, 0, 5, False, VerdictKind.NOT_FIXED),
        (100, 20, 5, False, VerdictKind.VERIFIED),
        (100, 8, 5, False, VerdictKind.NOT_FIXED),
        (12, 0, 0, True, VerdictKind.UNVERIFIED),
        (12, 2, 0, True, VerdictKind.UNVERIFIED),  # silence is not success
        (12, 5, 2, True, VerdictKind.VERIFIED),  # more than half of them could tell
        (12, 3, 0, True, VerdictKind.UNVERIFIED),
        (3, 2, 0, True, VerdictKind.VERIFIED),
        (100, 1, 0, True, VerdictKind.UNVERIFIED),
        (0, 0, 0, True, VerdictKind.UNVERIFIED),
    ],
)
def test_the_verdict(asked: int, yes: int, no: int, is_over: bool, kind: VerdictKind | None) -> None:
    assert decide(Tally(asked, yes, no), is_over).kind == kind


def test_the_verdict_gives_its_reason_with_the_base() -> None:
    assert decide(Tally(12, 1, 3), False).reason == "Not fixed: 1 of 4 who answered said it is fixed (12 were asked)."


def test_more_people_asked_need_more_noes() -> None:
    assert [noes_needed(asked) for asked in (1, 20, 21, 60, 1000)] == [1, 1, 2, 3, 5]


def test_the_lower_bound_is_wilsons() -> None:
    assert wilson_lower(0, 0) == 0
    assert wilson_lower(4, 4) == pytest.approx(0.5101, abs=1e-4)
    assert wilson_lower(8, 10) == pytest.approx(0.4902, abs=1e-4)


counts = st.integers(0, 60)


def told(yes: int, no: int, not_since: int, silent: int) -> Tally:
    return Tally(yes + no + not_since + silent, yes, no, not_since)


@given(counts, counts, counts, counts, st.booleans(), st.booleans())
def test_a_yes_never_turns_it_into_not_fixed_nor_a_no_into_verified(
    yes: int, no: int, not_since: int, silent: int, is_over: bool, is_asked: bool
) -> None:
    kind = decide(told(yes, no, not_since, silent + 1), is_over, is_asked).kind
    one_yes = decide(told(yes + 1, no, not_since, silent), is_over, is_asked).kind
    one_no = decide(told(yes, no + 1, not_since, silent), is_over, is_asked).kind
    if one_yes == VerdictKind.NOT_FIXED:
        assert kind == VerdictKind.NOT_FIXED
    if kind == VerdictKind.NOT_FIXED:
        assert one_no == VerdictKind.NOT_FIXED
    if kind == VerdictKind.VERIFIED and wilson_lower(yes, yes + no) <= 0.5 and not is_over and silent:
        pytest.fail("few answers of many verify nothing")


@given(counts, counts, counts, counts)
def test_before_anybody_was_asked_nothing_is_verified(yes: int, no: int, not_since: int, silent: int) -> None:
    decision = decide(told(yes, no, not_since, silent), is_over=False, is_asked=False)
    assert decision.kind in (None, VerdictKind.NOT_FIXED)
    assert (decision.kind == VerdictKind.NOT_FIXED) <= (no * 3 > yes + no + not_since + silent)


@given(st.integers(0, 200), st.integers(0, 200))
def test_the_interval_holds_the_share_and_narrows_with_more_answers(yes: int, no: int) -> None:
    share = share_of_yes(Tally(500, yes, no))
    if share is None:
        assert yes + no == 0
        return
    assert 0 <= share.low <= share.value + 1e-9
    assert share.value <= share.high + 1e-9 <= 1 + 1e-8
    twice = share_of_yes(Tally(1000, 2 * yes, 2 * no))
    assert twice is not None
    assert twice.high - twice.low < share.high - share.low


def test_have_not_run_into_it_counts_as_neither() -> None:
    assert decide(told(0, 0, 9, 0), True).kind == VerdictKind.UNVERIFIED
    assert decide(told(3, 0, 1, 0), False).kind == VerdictKind.VERIFIED, "all have replied, most could tell"
    assert decide(told(1, 0, 3, 0), False).kind is None
    assert "3 had not run into it since" in decide(told(1, 0, 3, 0), False).reason


def test_disagreement_needs_as_many_as_reopening() -> None:
    assert [needs_second_look(Tally(asked, 0, no)) for asked, no in ((3, 0), (3, 1), (25, 1), (25, 2))] == [
        False, True, False, True,
    ]  # fmt: skip
