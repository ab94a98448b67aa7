"""The map of complaints: how big each circle is, and which names fit without lying over each other."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from feedback_loop.complaints.evidence import Spot
from feedback_loop.complaints.models import Complaint

WIDTH, HEIGHT, MARGIN = 100.0, 80.0, 6.0
SMALLEST, GROWS = 0.8, 3.2  # radius of a circle: at least, and what the biggest has more
LETTER, LINE, GAP = (
    1.12,
    2.4,
    0.5,
)  # of the names: width of a letter and height of a line, at most; distance to a circle
ONE_LINE, LONGEST = 14, 22  # letters of a name that needs no second line, and of a line
NAMED = 80  # the biggest, whose names are tried; the others show theirs when pointed at or focused
ANYWHERE = 8  # the biggest, whose names stand on their own circles if there is no better place


@dataclass(frozen=True)
class Box:
    """A rectangle on the map."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether the two lie over each other."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def meets_circle(self, x: float, y: float, radius: float) -> bool:
        """Whether a circle lies under it."""
        across, down = x - min(max(x, self.left), self.right), y - min(max(y, self.top), self.bottom)
        return across * across + down * down < radius * radius


@dataclass(frozen=True)
class Mark:
    """A complaint as it is drawn.

    Attributes:
        x: Of the middle of its circle, from the left.
        y: The same, from the top.
        lines: Its name, cut to fit.
        text_x: Where the middle of the name is.
        text_y: Where the letters of its first line stand.
        is_named: Whether the name shows; otherwise only when pointed at or focused.
    """

    complaint: Complaint
    x: float
    y: float
    radius: float
    lines: Sequence[str]
    text_x: float
    text_y: float
    is_named: bool


def draw(spots: Sequence[Spot]) -> list[Mark]:
    """Place circles and names, the biggest complaints first: a name that would lie over another is not shown.

    Args:
        spots: The biggest first.
    """
    most = max((spot.complaint.statement_count for spot in spots), default=1)
    circles = [
        (spot.x * WIDTH, spot.y * HEIGHT, SMALLEST + GROWS * (spot.complaint.statement_count / most) ** 0.5)
        for spot in spots
    ]
    taken: list[Box] = []
    marks = []
    for index, (spot, (x, y, radius)) in enumerate(zip(spots, circles, strict=True)):
        lines = lines_of(spot.complaint.name)
        *outside, on_it = places(x, y, radius, max(map(len, lines)) * LETTER, len(lines) * LINE)
        clear = (each for each in outside if not any(each.meets_circle(*circle) for circle in circles))
        tried = chain(clear, [on_it] if index < ANYWHERE else []) if index < NAMED else iter(())
        box = next((each for each in tried if not any(each.meets(other) for other in taken)), None)
        if box is not None:
            taken.append(box)
        shown = box or outside[0]
        text_x, text_y = (shown.left + shown.right) / 2, shown.top + LINE * 0.7
        marks.append(Mark(spot.complaint, x, y, radius, lines, text_x, text_y, box is not None))
    return marks


def lines_of(name: str) -> list[str]:
    """A name in one or two lines, cut where it is too long for them."""
    if len(name) <= ONE_LINE:
        return [name]
    first = textwrap.wrap(name, max(ONE_LINE, min(len(name) // 2 + 3, LONGEST)))[0]
    rest = name[len(first) :].strip()
    return [first, *([textwrap.shorten(rest, LONGEST, placeholder="…")] if rest else [])]


def places(x: float, y: float, radius: float, width: float, height: float) -> Iterator[Box]:
    """Where a name may stand, the best first: below its circle, above, right, left, on it; moved to stay on the map."""
    away = radius + GAP
    for middle, upper in (
        (x, y + away),
        (x, y - away - height),
        (x + away + width / 2, y - height / 2),
        (x - away - width / 2, y - height / 2),
        (x, y - height / 2),
    ):
        left = min(max(middle - width / 2, -MARGIN + GAP), WIDTH + MARGIN - GAP - width)
        top = min(max(upper, -MARGIN + GAP), HEIGHT + MARGIN - GAP - height)
        yield Box(left, top, left + width, top + height)
