"""Verbs on surveys."""

from __future__ import annotations

import re

import pytest
from sqlalchemy.orm import Session

from feedback_loop.surveys.origins import MOST_ORIGINS, read_origin
from feedback_loop.surveys.service import allow_embedding
from tests.factories import Make
from tests.pages import again


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("https://www.example.com", "https://www.example.com"),
        (" HTTPS://WWW.Example.com/ ", "https://www.example.com"),
        ("https://shop.example.com:443", "https://shop.example.com"),
        ("https://shop.example.com:8443", "https://shop.example.com:8443"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://127.0.0.1", "http://127.0.0.1"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(typed: str, read: str) -> None:
    assert read_origin(typed) == read


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("www.example.com", "enter one such as https://www.example.com"),
        ("ftp://example.com", "enter one such as"),
        ("javascript:alert(1)", "enter one such as"),
        ("https://", "enter one such as"),
        ("https://*.example.com", "enter one such as"),
        ("https://example.com; script-src *", "enter one such as"),
        ("https://a.example https://b.example", "enter one such as"),
        ("https://example.com:port", "enter one such as"),
        ("https://example.com:99999", "enter one such as"),
        ("https://[::1", "enter one such as"),
        ("https://-a.example", "enter one such as"),
        ("https://" + "a" * 70 + ".example", "enter one such as"),
        ("https://example.com/help", "enter only its beginning, https://example.com."),
        ("https://example.com?x", "enter only its beginning, https://example.com."),
        ("https://me:secret@example.com", "enter only its beginning, https://example.com."),
        ("http://www.example.com", "enter it with https"),
    ],
)
def test_what_is_no_safe_origin_is_refused(typed: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        read_origin(typed)


def test_embedding_is_allowed_to_each_origin_once(make: Make, session: Session) -> None:
    survey = make.survey()
    allow_embedding(session, survey, ["https://b.example", "https://a.example/", "https://B.example"])
    session.commit()
    again(session, survey)
    assert survey.embed_origins == ["https://b.example", "https://a.example"]
    allow_embedding(session, survey, [])
    session.commit()
    again(session, survey)
    assert survey.embed_origins == []


def test_a_new_survey_may_be_embedded_nowhere(make: Make) -> None:
    assert make.survey().embed_origins == []


def test_one_bad_origin_changes_nothing(make: Make, session: Session) -> None:
    survey = make.survey()
    allow_embedding(session, survey, ["https://a.example"])
    with pytest.raises(ValueError, match="with https"):
        allow_embedding(session, survey, ["https://b.example", "http://c.example"])
    assert survey.embed_origins == ["https://a.example"]


def test_there_is_an_end_to_the_list(make: Make, session: Session) -> None:
    survey = make.survey()
    with pytest.raises(ValueError, match=f"at most {MOST_ORIGINS} addresses"):
        allow_embedding(session, survey, [f"https://shop{n}.example" for n in range(MOST_ORIGINS + 1)])
