"""How the pages of a survey look: one colour, whose contrast is computed, and a picture.

Contrast is that of WCAG 2.2 (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio): (L1 + 0.05) / (L2 + 0.05), with the
relative luminance L = 0.2126 R + 0.7152 G + 0.0722 B of the lighter and the darker colour, each channel c of sRGB made
linear: c / 12.92 up to 0.04045, else ((c + 0.055) / 1.055) ** 2.4.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

COLOUR = re.compile(r"#[0-9a-f]{6}")
WHITE, BLACK = "#ffffff", "#000000"
LIGHT_PAGE, DARK_PAGE = "#fbfbf8", "#141816"  # as in public.css
LIGHT_CARD, DARK_CARD = "#ffffff", "#1b201e"
USUAL_ACCENT, USUAL_ON_DARK = "#0b5e51", "#74d0bb"
LEAST = 4.5  # for text (WCAG 2.2, 1.4.3)
MOST_LOGO_BYTES = 5 * 1024  # a page of customers weighs at most 30 KB in all
STEPS = 200

PICTURES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
)


class TooFaint(ValueError):
    """White text on a colour could not be read.

    Attributes:
        instead: The nearest darker colour that passes.
    """

    def __init__(self, accent: str, ratio: float, instead: str) -> None:
        self.instead = instead
        super().__init__(
            f"White text on {accent} has a contrast of {ratio:.2f} : 1; {LEAST} : 1 is needed to read it. "
            f"The nearest darker colour that passes is {instead}."
        )


@dataclass(frozen=True)
class Logo:
    """A picture that was looked at."""

    media_type: str
    data: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of it, part of its address."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Contrast:
    """How well a colour can be told from another where both meet."""

    where: str
    colour: str
    against: str

    @property
    def ratio(self) -> float:
        """From 1 to 21."""
        return contrast(self.colour, self.against)

    @property
    def passes(self) -> bool:
        """Whether text can be read."""
        return self.ratio >= LEAST


def channels(colour: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def luminance(colour: str) -> float:
    """The relative luminance of a colour, 0 to 1."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (each / 255 for each in channels(colour))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def mixed(colour: str, other: str, share: float) -> str:
    """A colour with this share of another in it."""
    pairs = zip(channels(colour), channels(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def nearest(colour: str, towards: str, *against: str) -> str:
    """The first colour on the way to black or white that can be read on all of some others."""
    steps = (mixed(colour, towards, step / STEPS) for step in range(STEPS + 1))
    return next(each for each in steps if all(contrast(each, other) >= LEAST for other in against))


def check_accent(accent: str) -> str:
    """Read a colour for buttons and links on light pages; for dark ones a lighter shade is computed.

    Args:
        accent: `#rrggbb`, or empty.

    Returns:
        It, in small letters.

    Raises:
        TooFaint: White text on it could not be read.
        ValueError: It is no colour.
    """
    accent = accent.strip().lower()
    if not accent:
        return ""
    if not COLOUR.fullmatch(accent):
        raise ValueError("Enter a colour as # and six digits or letters from a to f, such as #0b5e51.")
    # The page is a little darker than white, and links stand on it.
    if contrast(accent, LIGHT_PAGE) < LEAST:
        raise TooFaint(accent, contrast(accent, WHITE), nearest(accent, BLACK, WHITE, LIGHT_PAGE))
    return accent


def on_dark(accent: str) -> str:
    """The shade of a colour for dark pages."""
    return nearest(accent, WHITE, DARK_PAGE, DARK_CARD)


def contrasts(accent: str) -> list[Contrast]:
    """Where a colour meets another on pages of customers."""
    light, dark = (accent, on_dark(accent)) if accent else (USUAL_ACCENT, USUAL_ON_DARK)
    return [
        Contrast("White text on a button", light, WHITE),
        Contrast("A link on the light page", light, LIGHT_PAGE),
        Contrast("A link on the dark page, in the lighter shade", dark, DARK_PAGE),
        Contrast("Dark text on a button of the dark page", dark, "#0d1412"),
    ]


def stylesheet(accent: str) -> str:
    """The colours of public.css that follow from one colour. Where a reader's system forces its own, those win."""
    dark = on_dark(accent)

    def lines(colour: str, towards: str, card: str) -> str:
        return (
            f"--accent:{colour};--accent-hover:{mixed(colour, towards, 0.25)};--accent-soft:{mixed(card, colour, 0.12)}"
        )

    return (
        f":root{{{lines(accent, BLACK, LIGHT_CARD)}}}\n"
        f"@media (prefers-color-scheme:dark){{:root{{{lines(dark, WHITE, DARK_CARD)}}}}}\n"
    )


def read_logo(data: bytes) -> Logo:
    """Look at a picture: what it is, its first bytes say, not its name.

    Raises:
        ValueError: It is too big or none of the kinds we take.
    """
    if len(data) > MOST_LOGO_BYTES:
        raise ValueError(
            f"This picture has {len(data) / 1024:.0f} KB; at most {MOST_LOGO_BYTES // 1024} KB are taken, because a "
            "page of customers weighs at most 30 KB in all. Save it smaller: 80 pixels of height are enough."
        )
    for beginning, media_type in PICTURES:
        if beginning.match(data):
            return Logo(media_type, data)
    raise ValueError("Choose a picture in PNG, JPEG, WebP or GIF.")
