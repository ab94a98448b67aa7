"""Is it fixed? What the answers decide."""

from __future__ import annotations

import pytest

from feedback_loop.followups.models import VerdictKind
from feedback_loop.followups.verdict import Tally, decide, noes_needed, wilson_lower


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
        (12, 2, 0, True, VerdictKind.VERIFIED),
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
