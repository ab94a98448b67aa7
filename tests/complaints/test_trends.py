from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from feedback_loop.clock import day_of, utc_now
from feedback_loop.complaints import trends as reads
from feedback_loop.complaints.models import ComplaintState, Spike, SpikeState
from feedback_loop.complaints.places import Origin, by_place, languages_of, pages_of, tags_of
from feedback_loop.complaints.queries import Trend, Week, trend
from feedback_loop.complaints.trends import Impact, Scores, by_day, pace, trends
from feedback_loop.surveys.models import ScaleName, Survey
from feedback_loop.surveys.scales import SCALES
from tests.factories import Cast, Make, sign_in
from tests.pages import counted, links, words

NOW = datetime(2026, 10, 12, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)


def weeks(*counts: int) -> Trend:
    """Twelve weeks of which the last ones have these counts."""
    filled = [0] * (12 - len(counts)) + list(counts)
    starts = [NOW - (12 - index) * 7 * DAY for index in range(12)]
    return Trend([Week(start, start + 7 * DAY, count) for start, count in zip(starts, filled, strict=True)])


@pytest.mark.parametrize(
    ("counts", "first", "says"),
    [
        (
            (5, 5, 4, 5, 14),
            90,
            "Said 14 times in the last seven days, 3 times as often as usual (5 a week in the",
        ),
        ((5, 5, 5, 5, 10), 90, "Said 10 times in the last seven days, twice as often as usual"),
        ((100, 100, 100, 100, 140), 90, "more often than usual"),
        ((100, 100, 100, 100, 105), 90, "about as often as usual"),
        ((1, 0, 0, 1, 2), 90, "Said twice in the last seven days, about as often as usual (less than 1 a week"),
        ((20, 20, 20, 20, 10), 90, "less often than usual"),
        ((20, 20, 20, 20, 0), 90, "Not said in the last seven days, much less often than usual"),
        ((0, 0, 0, 0, 6), 90, "Said 6 times in the last seven days, not at all in the weeks before."),
        ((0, 0, 0, 0, 1), 90, "Said once in the last seven days, not at all in the weeks before."),
        ((0, 0, 0, 0, 6), 3, "Said 6 times in the last seven days: too new to know what is usual."),
        ((0, 0, 0, 6, 6), 13, "too new to know what is usual."),
        ((0, 0, 0, 6, 24), 15, "4 times as often as usual (6 a week"),  # not 1.5 a week: it is two weeks old
    ],
)
def test_the_lead_says_how_the_week_compares(counts: tuple[int, ...], first: int, says: str) -> None:
    assert says in pace(weeks(*counts), NOW - first * DAY)


def test_the_lead_of_an_emptied_complaint() -> None:
    assert pace(weeks(), None) == "Nobody says this any more."


@pytest.mark.parametrize(
    ("context", "page"),
    [
        ({"page": "/help/zip?utm=mail#top"}, ["/help/zip"]),
        ({"Page": "https://fernhill.example/help"}, ["https://fernhill.example/help"]),
        ({"page": "#top"}, []),
        ({"page": 7}, ["7"]),
        ({"page": None, "order": "A1"}, []),
        ({}, []),
    ],
)
def test_pages_are_told_apart_by_their_path(context: dict[str, Any], page: list[str]) -> None:
    assert pages_of(Origin(None, context)) == page


@pytest.mark.parametrize(
    ("context", "tags"),
    [
        ({"tags": ["vip", "returns", "vip", "", None]}, ["vip", "returns"]),
        ({"tags": "vip, returns,,vip"}, ["vip", "returns"]),
        ({"Tag": "vip; returns"}, ["vip", "returns"]),
        ({"tag": 3, "tags": [4]}, ["3", "4"]),
        ({"tags": {"a": 1}}, ["{'a': 1}"]),
        ({"tags": ""}, []),
    ],
)
def test_tags_come_as_a_list_or_as_a_text_with_commas(context: dict[str, Any], tags: list[str]) -> None:
    assert tags_of(Origin(None, context)) == tags


def test_places_count_answers_and_keep_those_without_any_last() -> None:
    ours = [Origin("en", {"tags": "a,b"}), Origin("en", {"tags": "a"}), Origin(None, {}), Origin(None, {})]
    found = by_place(ours, [*ours, Origin("de", {"tags": "b"})], tags_of, False)
    assert [(row.name, row.said, row.heard) for row in found.rows] == [("a", 2, 2), ("b", 1, 2), ("", 2, 2)]
    assert (found.said, found.heard, found.more) == (4, 5, 0)
    many = [Origin(None, {"tags": f"tag {index}"}) for index in range(11)]
    found = by_place(many, many, tags_of, False)
    assert (len(found.rows), found.more) == (8, 3)
    assert languages_of(Origin("de", {})) == ["German"]
    assert languages_of(Origin("tlh", {})) == ["tlh"]
    assert not by_place([Origin(None, {})], [], languages_of, False).is_known


@pytest.mark.parametrize(
    ("said", "others", "averages"),
    [
        (Scores(10, 10, 10), Scores(90, 9, 360), ("3.7", "4.0")),
        (Scores(1, 1, 1), Scores(99, 0, 396), ("3.97", "4.00")),
        (Scores(1, 0, 4), Scores(99, 0, 396), ("4.0", "4.0")),
    ],
)
def test_averages_are_written_so_that_a_difference_shows(
    said: Scores, others: Scores, averages: tuple[str, str]
) -> None:
    assert Impact(Survey(), SCALES[ScaleName.CSAT], said, others).averages == averages


def test_days_are_those_of_the_calendar_and_end_today(make: Make, session: Session) -> None:
    complaint = make.complaint()
    midnight = datetime(2026, 10, 12, tzinfo=UTC)
    for moment in (midnight, NOW, NOW + timedelta(hours=1), midnight - timedelta(microseconds=1), midnight - 27 * DAY):
        make.statement(complaint, said_at=moment)
    make.statement(complaint, said_at=midnight - 27 * DAY - timedelta(seconds=1))
    make.statement(make.complaint(), said_at=NOW)
    days = by_day(session, complaint, NOW)
    assert len(days) == 28
    assert [(each.day.isoformat(), each.statements) for each in days if each.statements] == [
        ("2026-09-15", 1), ("2026-10-11", 1), ("2026-10-12", 2),
    ]  # fmt: skip


def test_weeks_end_now_and_the_moments_between_them_belong_to_the_earlier(make: Make, session: Session) -> None:
    complaint = make.complaint()
    for days in (0, 7, 14, 83.9, 84):
        make.statement(complaint, said_at=NOW - days * DAY)
    found = trend(session, complaint, NOW)
    assert [week.statements for week in found.weeks] == [1, *[0] * 8, 1, 1, 1]


def test_the_share_counts_answers_and_only_those_with_a_comment(make: Make, session: Session) -> None:
    complaint, survey = make.complaint(), make.survey()
    twice = make.answer("Late. And late again.", survey, said_at=NOW - DAY)
    make.statement(None, answer=twice)
    for position in (1, 2):
        make.statement(complaint, answer=twice, position=position)
    make.answer("All is well.", survey, said_at=NOW - 2 * DAY)
    make.answer("", survey, said_at=NOW - 2 * DAY)
    make.answer("Not read yet.", survey, said_at=NOW - 2 * DAY, analysed_at=None)
    make.answer("Before.", survey, said_at=NOW - 8 * DAY)
    *_, before, last = trends(session, complaint, NOW).weeks
    assert (last.statements, last.answers, last.of, last.share) == (2, 1, 2, 0.5)
    assert (before.answers, before.of, before.share) == (0, 1, 0.0)


def test_scores_are_compared_survey_by_survey_within_ninety_days(make: Make, session: Session) -> None:
    complaint = make.complaint()
    scales = (ScaleName.CSAT, ScaleName.HELPFUL, ScaleName.TEXT)
    csat, helpful, text = (make.survey(scale.value, scale) for scale in scales)
    for survey, score, days in (
        (csat, 1, 1), (csat, 2, 2), (csat, 4, 3), (csat, 1, 91), (csat, None, 4), (helpful, 0, 5), (text, None, 6),
    ):  # fmt: skip
        make.statement(complaint, answer=make.answer(survey=survey, score=score, said_at=NOW - days * DAY))
    for score, days in ((5, 1), (5, 2), (2, 3), (1, 91), (None, 4)):
        make.answer("", csat, score=score, said_at=NOW - days * DAY)
    found = trends(session, complaint, NOW)
    first, second = found.impacts
    assert (first.survey.id, first.said, first.others) == (csat.id, Scores(3, 2, 7), Scores(3, 1, 12))
    assert (second.survey.id, second.said, second.others) == (helpful.id, Scores(1, 1, 0), Scores())
    assert found.more_surveys == 0
    assert [(row.name, row.said, row.heard) for row in found.surveys.rows] == [
        ("Csat", 4, 4), ("Helpful", 1, 1), ("Text", 1, 1),
    ]  # fmt: skip


def test_what_is_said_very_often_is_compared_over_fewer_days_and_the_page_says_so(
    client: FlaskClient, cast: Cast, make: Make, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "MOST_SAID", 2)
    complaint, survey, now = make.complaint(), make.survey(scale=ScaleName.CSAT), utc_now()
    for days in (1, 2, 3, 4):
        make.statement(complaint, survey=survey, said_at=now - days * DAY)
    found = trends(session, complaint, now)
    assert found.is_short
    assert found.since == day_of(now - 2 * DAY), "two are newer than that of three days ago; whole days are compared"
    assert [each.said.answers for each in found.impacts] == [2]
    session.commit()
    sign_in(client, cast.vera)
    assert "It is said so often that these days tell enough." in words(client.get(f"/complaints/{complaint.id}/trends"))
    monkeypatch.setattr(reads, "MOST_SAID", 4)
    assert not trends(session, complaint, now).is_short


def test_what_was_said_too_often_on_one_day_is_compared_over_that_day(
    make: Make, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "MOST_SAID", 1)
    complaint, now = make.complaint(), utc_now().replace(hour=12)
    for minutes in (1, 2, 3):
        make.statement(complaint, said_at=now - timedelta(minutes=minutes))
    assert reads.window(session, complaint, now) == (day_of(now), True)


def test_many_contexts_are_sampled_and_the_page_says_so(
    client: FlaskClient, cast: Cast, make: Make, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "SAMPLE", 3)
    complaint, survey = make.complaint(), make.survey()
    for days in range(1, 7):
        answer = make.answer(survey=survey, said_at=utc_now() - days * DAY, context={"page": f"/{days}"})
        make.statement(complaint, answer=answer)
    session.commit()
    found = trends(session, complaint, utc_now())
    assert [row.name for row in found.pages.rows] == ["/1", "/2", "/3"]
    assert found.pages.is_sample
    assert found.pages.said == 3
    assert [row.said for row in found.surveys.rows] == [6], "surveys are counted in full"
    assert not found.surveys.is_sample
    session.commit()
    sign_in(client, cast.vera)
    page = words(client.get(f"/complaints/{complaint.id}/trends"))
    assert "compare the shares, not the numbers" in page
    assert "/1 1 33 % 33 %" in page


def test_the_page_says_everything_in_words_and_numbers(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    complaint, now = make.complaint("Label does not print"), utc_now()
    csat = make.survey("order-delivered", ScaleName.CSAT)
    helpful = make.survey("help-centre")
    contexts = [{"page": "/help/labels?x=1", "tags": ["vip", "returns"]}, {"page": "/help/labels", "tags": "vip"}, {}]
    for days, context in zip((1, 2, 40), contexts, strict=True):
        answer = make.answer(survey=csat, score=1, said_at=now - days * DAY, context=context)
        make.statement(complaint, answer=answer, language="de")
    make.statement(complaint, answer=make.answer(survey=helpful, score=0, said_at=now - DAY))
    for score in (5, 5, 4):
        answer = make.answer("Fine.", survey=csat, score=score, said_at=now - DAY, context={"page": "/other"})
        make.statement(None, answer=answer, language="en", kind="praise")
    make.answer("Fine.", survey=helpful, score=1, said_at=now - DAY)
    session.commit()
    sign_in(client, cast.vera)
    response = client.get(f"/complaints/{complaint.id}/trends")
    page, html = words(response), response.get_data(as_text=True)
    assert "Said 3 times in the last seven days, not at all in the weeks before." in page
    assert "last 1 day ago." in page
    assert "Statements on each of the last 28 days" in page
    assert html.count('<rect class="bar') == 28 + 12 + 12
    assert "style=" not in html
    assert "3 3 7 43 %" in page, "the last week: statements, answers that say it, answers with a comment, share"
    assert (
        "100 % of those who said it gave a low score, 2 or less of 5 (3 of 3), against 0 % of all others (0 of 3). "
        "Without these answers the average would be 4.7 instead of 2.8 (over 6). Few answers: no more than a hint."
        in page
    )
    assert (
        "100 % of those who said it answered “No” (1 of 1), against 0 % of all others (0 of 1). "
        "Without these answers 100 % would have said “Yes” instead of 50 % of 2." in page
    )
    assert "Order delivered 3 of 6 75 % 75 %" in page
    assert "/help/labels 2 of 2 50 % 29 % no page given 2 of" in page
    assert "vip 2 of 2 50 % 29 % returns 1 of 1" in page
    assert "German 3 of 3 75 % 43 %" in page
    assert "Spikes None so far." in page
    assert f"/complaints/{complaint.id}" in links(response)


def test_the_page_shows_the_running_alert_and_its_history(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    complaint = make.complaint()
    make.statement(complaint, said_at=utc_now() - timedelta(hours=3))
    begun = make.now - 30 * DAY
    session.add_all(
        [
            Spike(
                complaint_id=complaint.id, state=SpikeState.OVER, started_at=begun, last_at=begun, ended_at=begun + DAY,
                statements=2, expected=3.0, z=0.0, reason="Back to 2 in 24 hours; 3 a day is usual.",
            ),
            Spike(
                complaint_id=complaint.id, started_at=make.now, last_at=make.now, returned=2,
                statements=22, expected=3.0, z=11.0, reason="22 in 24 hours; 3 a day is usual.",
            ),
        ]
    )  # fmt: skip
    session.commit()
    sign_in(client, cast.vera)
    page = words(client.get(f"/complaints/{complaint.id}/trends"))
    assert "▲ Spike: 22 in 24 hours; 3 a day is usual. Since 12 Oct 2026, 09:30 UTC; it came back twice." in page
    assert "12 Oct 2026, 09:30 UTC ▲ running twice 22 in 24 hours" in page
    assert "12 Sep 2026, 09:30 UTC 13 Sep 2026, 09:30 UTC never Back to 2 in 24 hours" in page
    assert reads.running_spike(session, complaint) is not None
    assert reads.running_spike(session, make.complaint()) is None


def test_empty_pages_teach(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    emptied, old, wordless = make.complaint("Emptied"), make.complaint("Old"), make.complaint("Wordless")
    make.statement(old, said_at=utc_now() - timedelta(days=200))
    text = make.survey("text", ScaleName.TEXT)
    make.statement(wordless, answer=make.answer(survey=text, score=None, said_at=utc_now() - timedelta(hours=1)))
    session.commit()
    sign_in(client, cast.vera)
    page = words(client.get(f"/complaints/{emptied.id}/trends"))
    assert "Nobody says this any more." in page
    assert "Trends appear as soon as somebody says it again." in page
    page = words(client.get(f"/complaints/{old.id}/trends"))
    assert "Not said in the last seven days, nor in the weeks before." in page
    assert "Nobody has said it since" in page
    page = words(client.get(f"/complaints/{wordless.id}/trends"))
    assert "Said once in the last seven days: too new to know what is usual. First said" in page
    assert "gave a score. Surveys that ask for one show here" in page
    assert "Imported answers do so with a column “page”." in page
    assert "Imported answers have some with a column “tags”" in page
    assert "The language of these answers has not been told so far." in page


def test_what_customers_send_is_shown_as_text(client: FlaskClient, cast: Cast, make: Make, session: Session) -> None:
    complaint = make.complaint()
    context = {"page": "<script>alert(1)</script>", "tags": ["<b>vip"]}
    make.statement(complaint, answer=make.answer(said_at=utc_now() - DAY, context=context))
    session.commit()
    sign_in(client, cast.vera)
    html = client.get(f"/complaints/{complaint.id}/trends").get_data(as_text=True)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<b>vip" not in html


def test_trends_of_a_merged_complaint_are_those_of_the_one_that_survived(
    client: FlaskClient, cast: Cast, make: Make, session: Session
) -> None:
    last = make.complaint("Last")
    first = make.complaint("First", state=ComplaintState.MERGED, merged_into_id=last.id)
    session.commit()
    sign_in(client, cast.vera)
    response = client.get(f"/complaints/{first.id}/trends")
    assert response.status_code == 302
    assert response.location == f"/complaints/{last.id}/trends"
    assert client.get("/complaints/77/trends").status_code == 404


def test_trends_ask_no_more_for_more_of_everything(
    client: FlaskClient, cast: Cast, make: Make, session: Session, engine: Engine
) -> None:
    complaint = make.complaint()
    session.commit()
    sign_in(client, cast.vera)
    counts = []
    for _ in range(2):
        for days in range(1, 40, 5):
            answer = make.answer(survey=make.survey(), said_at=utc_now() - days * DAY, context={"page": f"/{days}"})
            make.statement(complaint, answer=answer)
        session.commit()
        with counted(engine) as sent:
            client.get(f"/complaints/{complaint.id}/trends")
        counts.append(len(sent))
    assert counts[0] == counts[1] <= 14


def test_no_read_of_the_page_goes_through_a_whole_table(make: Make, session: Session, engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("Other databases choose by the size of the table, which is empty here.")
    complaint = make.complaint()
    make.statement(complaint, said_at=NOW - DAY)
    with counted(engine) as sent:
        trends(session, complaint, NOW)
    for statement in sent:
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", ("1",) * statement.count("?"))
        steps = [row[3] for row in plan]
        assert not any(step.startswith(("SCAN statements", "SCAN answers")) for step in steps), steps
