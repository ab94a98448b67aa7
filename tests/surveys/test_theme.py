"""Colours, their contrast, and pictures."""

from __future__ import annotations

import pytest

from feedback_loop.surveys.theme import (
    BLACK,
    DARK_CARD,
    DARK_PAGE,
    LEAST,
    LIGHT_PAGE,
    MOST_LOGO_BYTES,
    USUAL_ACCENT,
    WHITE,
    TooFaint,
    check_accent,
    contrast,
    contrasts,
    on_dark,
    read_logo,
    stylesheet,
)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast(BLACK, WHITE) == contrast(WHITE, BLACK) == pytest.approx(21)
    assert contrast("#777777", WHITE) == pytest.approx(4.478, abs=0.001)
    assert contrast("#767676", WHITE) == pytest.approx(4.542, abs=0.001)
    assert contrast("#ff0000", WHITE) == pytest.approx(3.998, abs=0.001)


@pytest.mark.parametrize("accent", ["#ffd400", "#ff0000", "#777777", "#ffffff", "#00b894"])
def test_a_faint_colour_is_refused_and_the_nearest_that_can_be_read_is_offered(accent: str) -> None:
    with pytest.raises(TooFaint, match=r"4\.5 : 1 is needed") as error:
        check_accent(accent)
    instead = error.value.instead
    assert instead in str(error.value)
    assert check_accent(instead) == instead
    assert contrast(instead, LIGHT_PAGE) < LEAST + 0.3, "no darker than it has to be"


@pytest.mark.parametrize("accent", [USUAL_ACCENT, "#7a1f5c", "#000000", "#0000ff", "#b00020"])
def test_a_colour_that_passes_can_be_read_everywhere(accent: str) -> None:
    assert check_accent(f" {accent.upper()} ") == accent
    assert all(each.passes for each in contrasts(accent))
    assert min(contrast(on_dark(accent), each) for each in (DARK_PAGE, DARK_CARD)) >= LEAST


def test_no_colour_is_the_usual_one() -> None:
    assert check_accent(" ") == ""
    assert contrasts("")[0].colour == USUAL_ACCENT


@pytest.mark.parametrize("text", ["red", "#fff", "#12345g", "#0b5e51;}body{display:none", "0b5e51"])
def test_what_is_no_colour_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Enter a colour as #"):
        check_accent(text)


def test_the_stylesheet_sets_the_colours_of_light_and_dark_pages() -> None:
    light, dark = stylesheet("#7a1f5c").split("@media (prefers-color-scheme:dark)")
    assert "--accent:#7a1f5c" in light
    assert f"--accent:{on_dark('#7a1f5c')}" in dark


@pytest.mark.parametrize(
    ("beginning", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\x0a\x00\x00\x00WEBP", "image/webp"),
        (b"GIF89a", "image/gif"),
    ],
)
def test_a_picture_is_known_by_its_first_bytes(beginning: bytes, kind: str) -> None:
    assert read_logo(beginning + b"rest").media_type == kind


@pytest.mark.parametrize(
    "data", [b"", b"<svg onload='alert(1)'/>", b"%PDF-1.7", b" \x89PNG\r\n\x1a\n", b"<html>GIF89a"]
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="PNG, JPEG, WebP or GIF"):
        read_logo(data)


def test_a_heavy_picture_is_refused_with_the_reason() -> None:
    read_logo(b"GIF89a".ljust(MOST_LOGO_BYTES, b"x"))
    with pytest.raises(ValueError, match="at most 30 KB in all"):
        read_logo(b"GIF89a".ljust(MOST_LOGO_BYTES + 1, b"x"))
