from __future__ import annotations

import csv
import subprocess
import sys
import time
from pathlib import Path

import pytest

from feedback_loop.analysis.language import LANGUAGES, detect

SAID = Path(__file__).parents[2] / "bench" / "languages.csv"


def sentences() -> list[tuple[str, str]]:
    with SAID.open(newline="", encoding="utf-8") as stream:
        return [(row["text"], row["language"]) for row in csv.DictReader(stream)]


def test_short_comments_in_many_languages_are_told_apart() -> None:
    found = [(detect(text), language) for text, language in sentences()]
    sure = [(answer, language) for answer, language in found if answer is not None]
    assert len(sure) / len(found) >= 0.95
    assert sum(answer == language for answer, language in sure) / len(sure) >= 0.995


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "it", "nl", "pt", "pl", "tr", "sv", "da", "fi"])
def test_each_language_is_found(language: str) -> None:
    own = [text for text, right in sentences() if right == language]
    assert len(own) >= 12
    assert sum(detect(text) == language for text in own) / len(own) >= 0.8


@pytest.mark.parametrize(
    "text", ["", "   ", "ok", "OK", "n/a", "bad app", "super", "👍👍", "???", "12345", "[email]", "[phone] [link]"]
)
def test_too_little_to_tell_is_none(text: str) -> None:
    assert detect(text) is None


def test_placeholders_numbers_and_signs_do_not_disturb() -> None:
    for text, _ in sentences():
        assert detect(f"[email] {text} [phone] 4711 :-) [link]") == detect(text)


def test_signs_inside_words_stay() -> None:
    assert detect("कमरा बहुत गंदा था और बदबू आ रही थी") == "hi"
    assert detect("ห้องสกปรกมากและมีกลิ่นบุหรี่") == "th"
    assert detect("C'est l'application qui s'est fermée aujourd'hui, «encore»…") == "fr"


def test_capitals_and_lines_do_not_disturb() -> None:
    assert detect("DIE LIEFERUNG KAM VIEL ZU SPÄT") == "de"
    assert detect("la livraison\nest arrivée\n\ntrop tard") == "fr"


def test_answers_are_known_languages() -> None:
    assert {detect(text) for text, _ in sentences()} <= {None, *LANGUAGES}
    assert all(len(language) == 2 for language in LANGUAGES)


def test_a_long_comment_costs_no_more_than_a_short_one() -> None:
    detect("load the model")
    start = time.thread_time()
    assert detect("Das Paket kam eine Woche zu spät. " * 100_000) == "de"
    assert time.thread_time() - start < 3.0


def test_it_is_fast() -> None:
    texts = [text for text, _ in sentences()]
    detect("load the model")
    start = time.thread_time()
    for text in texts:
        detect(text)
    assert len(texts) / (time.thread_time() - start) > 1_000  # 5,000 and more where nothing else runs


def test_importing_it_is_cheap() -> None:
    code = "import sys, feedback_loop.analysis.language; sys.exit('numpy' in sys.modules or 'py3langid' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
