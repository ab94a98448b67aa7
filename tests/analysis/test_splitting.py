from __future__ import annotations

from feedback_loop.analysis.splitting import split


def test_each_long_sentence_is_a_part() -> None:
    text = "My parcel came a week late. And the app logged me out again!"
    assert split(text) == ["My parcel came a week late.", "And the app logged me out again!"]


def test_one_sentence_has_no_parts() -> None:
    assert split("My parcel came a week late.") == []
    assert split("") == []
    assert split("   \n ") == []


def test_short_sentences_are_no_parts() -> None:
    assert split("Late again. Why? The app logged me out again.") == ["The app logged me out again."]


def test_lines_are_sentences() -> None:
    text = "the parcel came very late\nthe app logged me out"
    assert split(text) == ["the parcel came very late", "the app logged me out"]


def test_repeated_sentences_are_one_part() -> None:
    assert split("The app does not start. The app does not start.") == ["The app does not start."]


def test_abbreviations_do_not_end_a_sentence() -> None:
    assert split("I spoke to Dr. Brown about it yesterday. He never called me back.") == [
        "I spoke to Dr. Brown about it yesterday.",
        "He never called me back.",
    ]


def test_other_languages_and_unknown_ones_are_split() -> None:
    german = "Das Paket kam z.B. eine Woche zu spät. Danach ging die App nicht mehr."
    assert len(split(german, "de")) == 2
    assert len(split("One two three four five. Six seven eight nine ten.", "tlh-QQ")) == 2
    assert len(split("One two three four five. Six seven eight nine ten.", "")) == 2


def test_without_a_language_it_is_detected() -> None:
    dutch = "Ik heb dhr. Jansen gisteren nog gebeld. Daarna heb ik niets meer gehoord."
    assert split(dutch) == split(dutch, "nl")
    assert split("我的包裹晚了一个星期才到。而且盒子已经坏了。") == split(
        "我的包裹晚了一个星期才到。而且盒子已经坏了。", "zh"
    )
