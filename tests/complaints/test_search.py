"""Searching what was said by its meaning, with the toy model (which knows only words), and the pages about it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from feedback_loop import pipeline
from feedback_loop.analysis.embedding.toy import ToyEmbedder
from feedback_loop.clock import utc_now
from feedback_loop.complaints import vectors
from feedback_loop.complaints.models import Complaint, Placed, Search, SearchState, Statement, Vector
from feedback_loop.complaints.results import Nearness, results
from feedback_loop.complaints.service import find
from feedback_loop.complaints.service.searching import LONGEST, Refused, ask, ask_like, due, forget_searches
from feedback_loop.db import Sessions, reading
from feedback_loop.pipeline import STEPS, Context
from feedback_loop.settings import Settings
from feedback_loop.worker import look
from tests.factories import Cast, Make, sign_in
from tests.pages import counted, links, words

STEP = next(step for step in STEPS if step.name == "search")
TOY = ToyEmbedder()


class Said:
    """Statements with vectors, and searches among them."""

    def __init__(self, make: Make, sessions: Sessions, settings: Settings, cast: Cast) -> None:
        self.make, self.sessions, self.cast = make, sessions, cast
        self.now = make.now
        self.context = Context(settings, sessions, lambda: self.now)
        self.survey = make.survey("order-delivered")

    def say(self, text: str, complaint: Complaint | None = None, **values: object) -> Statement:
        row = self.make.statement(complaint, text, survey=self.survey, **values)  # type: ignore[arg-type]
        self.understood(row)
        return row

    def part(self, whole: Statement, text: str, complaint: Complaint | None = None) -> Statement:
        row = self.make.statement(complaint, text, answer=whole.answer, position=1)
        self.understood(row)
        return row

    def understood(self, row: Statement) -> None:
        """Give a statement the vector of its words, which equal words share."""
        session, key = self.make.session, vectors.hash_text(row.text)
        vectors.store(session, {key: TOY.encode([row.text])[0]}, "toy")
        row.vector_id = vectors.known(session, [key], "toy")[key][0]
        session.flush()

    def ask(self, text: str) -> int:
        self.make.session.commit()
        with self.sessions.begin() as session:
            return ask(session, text, self.cast.vera, self.now).id

    def like(self, statement: Statement) -> int:
        self.make.session.commit()
        with self.sessions.begin() as session:
            return ask_like(session, statement, self.cast.vera, self.now).id

    def search(self, id: int) -> Search:
        with reading(self.sessions) as session:
            return session.get_one(Search, id)

    def found(self, id: int) -> list[tuple[str, int]]:
        """Texts found and how many said each, nearest first, after the worker has looked."""
        pipeline.search(self.context)
        with reading(self.sessions) as session:
            search = session.get_one(Search, id)
            assert search.state == SearchState.DONE
            shown = results(session, search)
            return [(each.statement.text, each.same) for each in [*shown.near, *shown.far]]


@pytest.fixture
def said(make: Make, sessions: Sessions, settings: Settings, cast: Cast) -> Said:
    return Said(make, sessions, settings, cast)


def test_one_look_of_the_worker_finds_what_is_near_in_complaints_and_the_pool(said: Said) -> None:
    complaint = said.make.complaint("Zip broke")
    said.say("The zip of my rucksack broke", complaint)
    said.say("Rucksack zip, broken", None)
    said.say("My refund has not come", None)
    search = said.ask("rucksack zip broke")
    assert look(said.context, STEP) == 1
    assert [text for text, _ in said.found(search)] == ["The zip of my rucksack broke", "Rucksack zip, broken"]
    assert said.search(search).done_at == said.now


def test_nothing_waiting_loads_no_model(said: Said) -> None:
    assert look(said.context, STEP) == 0
    assert "embedder" not in vars(said.context)


def test_same_words_are_shown_once_and_counted(said: Said) -> None:
    complaint = said.make.complaint()
    for text in ("The zip broke", "the  ZIP broke", "The zip broke"):
        said.say(text, complaint)
    said.say("The zip broke")
    assert sorted(count for _, count in said.found(said.ask("zip broke"))) == [1, 3], "once in each place"


def test_a_comment_is_as_near_as_the_nearest_of_its_sentences(said: Said) -> None:
    whole = said.say("Late again, the courier was rude and nobody answers mail. The zip broke.")
    said.part(whole, "The zip broke.")
    own = said.say("Everything about this order went wrong from start to end. The zip broke twice.", None)
    placed = said.part(own, "The zip broke twice.", said.make.complaint())
    pipeline.search(said.context)
    search = said.ask("zip broke")
    assert [text for text, _ in said.found(search)][:2] == [whole.text, placed.text]
    assert said.search(search).found[0][1] > 0.99


def test_others_like_this_uses_the_stored_vector_and_leaves_the_comment_itself_out(
    said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = said.say("The zip broke. It was cold.")
    said.part(one, "The zip broke.")
    said.say("The zip broke. It was cold.")
    said.say("My zip broke")
    monkeypatch.setattr(ToyEmbedder, "encode", lambda *_: pytest.fail("it has a vector"))
    assert said.found(said.like(one)) == [("The zip broke. It was cold.", 1), ("My zip broke", 1)]


def test_vectors_of_another_model_and_damaged_ones_are_passed_over(said: Said) -> None:
    other, damaged = said.say("The zip broke"), said.say("The zip broke off")
    said.say("The zip broke again")
    session = said.make.session
    session.execute(update(Vector).where(Vector.id == other.vector_id).values(model="another"))
    session.execute(update(Vector).where(Vector.id == damaged.vector_id).values(data=b"short"))
    assert said.found(said.ask("zip broke")) == [("The zip broke again", 1)]


def test_after_a_change_of_the_model_an_empty_answer_says_why(said: Said) -> None:
    said.say("The zip broke")
    said.make.session.execute(update(Vector).values(model="another"))
    search = said.ask("zip broke")
    assert said.found(search) == []
    assert "found again after the next refine" in said.search(search).message


def test_nothing_near_is_an_answer_too(said: Said) -> None:
    said.say("The zip broke")
    assert said.found(said.ask("Gouda cheese")) == []


def test_personal_details_are_blanked_out_before_a_search_is_stored(said: Said) -> None:
    search = said.ask("  maya.lind@example.com says \n the zip broke ")
    assert said.search(search).text == "[email] says the zip broke"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" \n ", "Enter what to search for"),
        ("maya@example.com, +44 20 7946 0123", "personal details and numbers are blanked out"),
        ("?!", "Enter what people say"),
        ("x " * LONGEST, "at most 500 characters"),
        ("x" * 1_000_000, "at most 500 characters"),
    ],
)
def test_what_cannot_be_searched_is_refused_with_the_reason(said: Said, text: str, message: str) -> None:
    with pytest.raises(Refused, match=message):
        said.ask(text)


def test_a_fresh_answer_is_used_again_by_who_asked(said: Said) -> None:
    said.say("The zip broke")
    first = said.ask("zip broke")
    assert said.ask("zip broke") == first, "a double click asks once"
    said.found(first)
    assert said.ask(" zip  broke") == first
    with said.sessions.begin() as session:
        assert ask(session, "zip broke", said.cast.lena, said.now).id != first
    said.now += timedelta(minutes=11)
    assert said.ask("zip broke") != first


def test_others_like_one_statement_are_not_those_like_its_twin(said: Said) -> None:
    one, twin = said.say("The zip broke"), said.say("The zip broke")
    assert said.like(one) == said.like(one)
    assert said.like(one) != said.like(twin)
    assert said.like(one) != said.ask("The zip broke")


class Poisoned(ToyEmbedder):
    """Breaks on one text."""

    def encode(self, texts: Sequence[str], *_: object) -> object:  # type: ignore[override]
        if "poison" in texts[0]:
            raise RuntimeError("boom")
        return super().encode(texts)


def test_a_poisoned_search_is_given_up_after_three_attempts_and_harms_no_other(said: Said) -> None:
    said.say("The zip broke")
    bad, good = said.ask("poison"), said.ask("zip broke")
    vars(said.context)["embedder"] = Poisoned()
    pipeline.search(said.context)
    assert said.search(good).state == SearchState.DONE
    for _ in range(3):
        pipeline.search(said.context)
    failed = said.search(bad)
    assert (failed.state, failed.attempts) == (SearchState.FAILED, 3)
    assert "The log of the worker says why" in failed.message
    assert said.ask("poison") != bad, "it can be asked again"


def test_a_search_whose_workers_die_is_given_up(said: Said) -> None:
    search = said.ask("zip broke")
    for _ in range(3):
        with said.sessions.begin() as session:
            assert find.claim(session, Search, [find.WAITING], [Search.id], 1, said.now, find.LEASE)
        assert pipeline.search(said.context) == 0, "it is somebody else's until the lease ends"
        said.now += 2 * find.LEASE
    assert pipeline.search(said.context) == 1
    assert said.search(search).state == SearchState.FAILED


def test_a_worker_that_comes_late_writes_nothing(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    said.say("The zip broke")
    search = said.ask("zip broke")
    slow = find.find

    def overtaken(*args: object) -> object:
        monkeypatch.setattr(find, "find", slow)
        said.now += 2 * find.LEASE
        assert find.answer_searches(said.sessions, TOY, lambda: said.now) == 1
        done = said.search(search).done_at
        said.now += timedelta(minutes=1)
        result = slow(*args)  # type: ignore[arg-type]
        assert said.search(search).done_at == done
        return result

    monkeypatch.setattr(find, "find", overtaken)
    first = said.now
    assert find.answer_searches(said.sessions, TOY, lambda: said.now) == 0
    assert said.search(search).done_at == first + 2 * find.LEASE


def test_two_workers_share_the_searches(said: Said) -> None:
    said.say("The zip broke")
    searches = [said.ask(f"zip broke {number}") for number in "abcdefghijkl"]
    counts: list[int] = []

    def work() -> None:
        counts.append(find.answer_searches(said.sessions, TOY, lambda: said.now, limit=6))

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert counts == [6, 6]
    assert [said.search(each).attempts for each in searches] == [1] * 12


def test_beyond_the_limit_only_the_nearest_complaints_and_the_newest_of_the_pool_are_searched(
    said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, far = said.make.complaint("Zip broke"), said.make.complaint("Refund")
    said.say("The zip of my rucksack broke", near, is_exemplar=True)
    said.say("Zip broke on day one", near, said_at=said.now - timedelta(days=2))
    said.say("Zip broke on day two", near, said_at=said.now - timedelta(days=1))
    said.say("My refund has not come", far, is_exemplar=True, said_at=said.now - timedelta(days=1))
    said.say("Refund zip broke", far)
    said.say("Old zip broke", said_at=said.now - timedelta(days=9))
    said.say("New zip broke")
    monkeypatch.setattr(find, "COMPLAINTS", 1)
    monkeypatch.setattr(find, "OF_COMPLAINT", 2)
    monkeypatch.setattr(find, "OF_POOL", 1)
    search = said.ask("zip broke")
    monkeypatch.setattr(find, "EXACT", 7)
    assert len(said.found(search)) == 6, "all but the refund"
    assert not said.search(search).message
    said.now += timedelta(hours=1)
    search = said.ask("zip broke")
    monkeypatch.setattr(find, "EXACT", 6)
    assert {text for text, _ in said.found(search)} == {
        "The zip of my rucksack broke", "Zip broke on day two", "New zip broke",
    }  # fmt: skip
    assert "More than 6 different things were said." in said.search(search).message
    said.now += timedelta(hours=1)
    search = said.ask("zip broke")
    monkeypatch.setattr(find, "COMPLAINTS", 2)
    monkeypatch.setattr(find, "OF_COMPLAINTS", 3)
    assert {text for text, _ in said.found(search)} == {
        "The zip of my rucksack broke", "Zip broke on day two", "New zip broke", "Refund zip broke",
    }, "one was left of three for the second complaint"  # fmt: skip


def test_no_more_are_kept_than_anybody_reads(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(8):
        said.say(f"The zip broke {'very ' * number}badly")
    monkeypatch.setattr(find, "SHOWN", 5)
    found = [text for text, _ in said.found(said.ask("the zip broke badly"))]
    assert len(found) == 5
    assert found[0] == "The zip broke badly"


def test_looking_for_work_uses_the_index_of_waiting_searches(said: Said, engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("Other databases choose by the size of the table, which is empty here.")
    with counted(engine) as sent:
        said.context.any(*due(said.now))
    (statement,) = sent
    with reading(said.sessions) as session:
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", (0,) * statement.count("?"))
        assert "ix_searches_waiting" in str(plan.all())


def test_yesterdays_searches_are_forgotten(said: Said) -> None:
    old, now = said.ask("zip broke"), said.now
    said.now += timedelta(hours=23)
    new = said.ask("zip broke")
    said.now = now + timedelta(hours=25)
    pipeline.tidy(said.context)
    with reading(said.sessions) as session:
        assert list(session.scalars(select(Search.id))) == [new]
    assert old != new
    with said.sessions.begin() as session:
        assert forget_searches(session, said.now + timedelta(days=2)) == 1


# The pages.


@pytest.fixture
def asked(said: Said, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> Said:
    """As `said`, at the present time, with Vera signed in."""
    said.now = utc_now()
    said.make.session.commit()
    sign_in(client, said.cast.vera)
    return said


def age(said: Said, id: int, by: timedelta) -> None:
    with said.sessions.begin() as session:
        session.get_one(Search, id).made_at -= by


def test_searching_from_the_page_to_the_answer(asked: Said, client: FlaskClient) -> None:
    complaint = asked.make.complaint("Zip broke")
    asked.say("The zip of my rucksack broke", complaint, customer=asked.make.customer())
    asked.say("The zip of my rucksack broke", complaint)
    asked.say("Rucksack zip, broke", None)
    asked.make.session.commit()
    assert "/complaints/search" in links(client.get("/complaints/search"))
    response = client.post("/complaints/search", data={"text": "rucksack zip broke"})
    assert response.status_code == 303
    page = client.get(response.location)
    html = page.get_data(as_text=True)
    assert "Still looking… The result appears here by itself. Refresh" in words(page)
    assert f'hx-get="{response.location}?wait=looking" hx-trigger="every 1s"' in html
    assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in html
    assert 'value="rucksack zip broke"' in html
    pipeline.search(asked.context)
    page = client.get(response.location)
    assert "3 statements: 2 in " + complaint.number + " Zip broke, 1 in the pool." in words(page)
    assert f"Very close 1.00 · {complaint.number} Zip broke · 2 with the same words" in words(page)
    assert "hx-get" not in page.get_data(as_text=True)
    assert "refresh" not in page.get_data(as_text=True)
    assert f"/complaints/{complaint.id}" in links(page)
    assert "Asked by Vera just now." in words(page)


def test_while_it_waits_the_page_asks_for_its_part_only(asked: Said, client: FlaskClient) -> None:
    asked.say("The zip broke")
    search = asked.ask("zip broke")
    poll = f"/complaints/search/{search}?wait=looking"
    part = client.get(poll, headers={"HX-Request": "true"})
    assert (part.status_code, part.data) == (204, b""), "while nothing changes, nothing is put in"
    age(asked, search, timedelta(seconds=21))
    part = client.get(poll, headers={"HX-Request": "true"})
    assert part.get_data(as_text=True).startswith('<div id="found" hx-get="')
    assert "The worker is not running" in words(part)
    pipeline.search(asked.context)
    part = client.get(poll, headers={"HX-Request": "true"})
    assert "1 statement: 1 in the pool." in words(part)
    assert "<html" not in part.get_data(as_text=True)
    assert "hx-get" not in part.get_data(as_text=True)


def test_results_can_be_narrowed_to_one_place(asked: Said, client: FlaskClient) -> None:
    complaint = asked.make.complaint("Zip broke")
    asked.say("The zip of my rucksack broke", complaint)
    asked.say("Rucksack zip, broke", None)
    search = asked.ask("rucksack zip broke")
    pipeline.search(asked.context)
    for place, found in (("pool", {"Rucksack zip, broke"}), (str(complaint.id), {"The zip of my rucksack broke"})):
        page = words(client.get(f"/complaints/search/{search}?place={place}"))
        assert {text for text in ("The zip of my rucksack broke", "Rucksack zip, broke") if text in page} == found
        assert "Show all" in page
    page = words(client.get(f"/complaints/search/{search}?place=99999"))
    assert "Rucksack zip, broke" in page
    assert "The zip of my rucksack broke" in page


def test_leads_tick_what_was_found_and_others_only_read(asked: Said, client: FlaskClient) -> None:
    one, praise = asked.say("The zip broke"), asked.say("The zip is great", kind="praise")
    search = asked.ask("zip broke")
    pipeline.search(asked.context)
    assert 'name="ids"' not in client.get(f"/complaints/search/{search}").text
    sign_in(client, asked.cast.lena)
    for headers in ({}, {"HX-Request": "true"}):
        page = client.get(f"/complaints/search/{search}", headers=headers).text
        assert f'name="ids" value="{one.id}" form="pick"' in page
        assert f'value="{praise.id}" form="pick"' not in page, "only problems belong to complaints"
        assert page.count('id="pick"') == 1


def test_what_is_only_somewhat_close_stands_apart(asked: Said, client: FlaskClient) -> None:
    asked.say("The zip broke")
    asked.say("The driver dropped the flowers behind the house, the garden gate broke and it rained")
    search = asked.ask("zip broke")
    pipeline.search(asked.context)
    nearness = [each[3] for each in asked.search(search).found]
    assert nearness == [Nearness.VERY_CLOSE, Nearness.SOMEWHAT_CLOSE]
    page = words(client.get(f"/complaints/search/{search}"))
    assert "1 statement: 1 in the pool." in page
    assert "1 more is only somewhat close" in page


def test_others_like_this_from_a_statement(asked: Said, client: FlaskClient) -> None:
    one = asked.say("The zip broke")
    asked.say("My zip broke")
    asked.make.session.commit()
    response = client.post(f"/complaints/statements/{one.id}/like")
    assert response.status_code == 303
    assert "Others like this The zip broke" in words(client.get(response.location))
    pipeline.search(asked.context)
    page = words(client.get(response.location))
    assert "My zip broke Very close" in page
    gone = client.post("/complaints/statements/999999/like")
    assert gone.status_code == 404
    assert "This statement is gone" in words(gone)


def test_an_empty_search_is_refused_and_what_was_typed_stays(asked: Said, client: FlaskClient) -> None:
    response = client.post("/complaints/search", data={"text": " "})
    assert response.status_code == 400
    assert "Enter what to search for, in the words of a customer." in words(response)
    response = client.post("/complaints/search", data={"text": "maya@example.com"})
    assert 'value="maya@example.com"' in response.get_data(as_text=True)
    assert client.post("/complaints/search").status_code == 400


def test_nothing_found_says_what_to_do(asked: Said, client: FlaskClient) -> None:
    asked.say("The zip broke")
    search = asked.ask("Gouda cheese")
    pipeline.search(asked.context)
    assert "Nothing that was said comes near to this." in words(client.get(f"/complaints/search/{search}"))


def test_without_a_worker_the_page_says_so_after_a_while(asked: Said, client: FlaskClient) -> None:
    search = asked.ask("zip broke")
    age(asked, search, timedelta(seconds=21))
    page = client.get(f"/complaints/search/{search}")
    assert "The worker is not running: start it with feedback-loop worker." in words(page)
    assert 'hx-trigger="every 5s"' in page.get_data(as_text=True)
    with asked.sessions.begin() as session:
        find.claim(session, Search, [find.WAITING], [Search.id], 1, utc_now(), find.LEASE)
    page = client.get(f"/complaints/search/{search}")
    assert "This takes longer than usual." in words(page)
    assert "not running" not in words(page)
    age(asked, search, timedelta(minutes=11))
    page = client.get(f"/complaints/search/{search}")
    assert "hx-get" not in page.get_data(as_text=True)
    assert "http-equiv" not in page.get_data(as_text=True)


def test_a_failed_search_offers_another_attempt(asked: Said, client: FlaskClient) -> None:
    search = asked.ask("poison")
    vars(asked.context)["embedder"] = Poisoned()
    for _ in range(3):
        pipeline.search(asked.context)
    page = client.get(f"/complaints/search/{search}")
    assert "This search failed. This search could not be answered in three attempts." in words(page)
    assert "Search again" in words(page)


def test_a_search_that_is_gone_says_why_and_offers_another(asked: Said, client: FlaskClient) -> None:
    response = client.get("/complaints/search/4711")
    assert response.status_code == 404
    assert "This search is gone: searches are kept for a day." in words(response)
    assert "Search what people said" in words(response)


def test_statements_that_went_or_moved_meanwhile_are_shown_as_they_are_now(
    asked: Said, client: FlaskClient, session: Session
) -> None:
    complaint = asked.make.complaint("Zip broke")
    moved, gone = asked.say("The zip broke", None), asked.say("My zip broke", None)
    search = asked.ask("zip broke")
    pipeline.search(asked.context)
    with asked.sessions.begin() as own:
        own.delete(own.get_one(Statement, gone.id))
        row = own.get_one(Statement, moved.id)
        row.complaint_id, row.placed = complaint.id, Placed.PERSON
    page = words(client.get(f"/complaints/search/{search}"))
    assert f"1 statement: 1 in {complaint.number} Zip broke." in page
    assert "My zip broke" not in page


def test_a_colleague_may_read_a_search_and_nobody_else(asked: Said, client: FlaskClient) -> None:
    search = asked.ask("zip broke")
    sign_in(client, asked.cast.olga)
    assert "Asked by Vera" in words(client.get(f"/complaints/search/{search}"))
    client.post("/sign-out")
    for response in (client.get(f"/complaints/search/{search}"), client.post("/complaints/search", data={"text": "a"})):
        assert response.status_code == 302
        assert response.location.startswith("/sign-in")


def test_the_search_page_teaches_and_remembers(asked: Said, client: FlaskClient) -> None:
    asked.make.complaint("Label does not print")
    asked.make.complaint("Emptied", statement_count=0)
    asked.ask("my own search")
    page = words(client.get("/complaints/search"))
    assert "Say it as a customer would" in page
    assert "What you searched last my own search" in page
    assert "Try one Label does not print" in page
    assert "Emptied" not in page


def test_the_result_asks_no_more_for_more_results(asked: Said, client: FlaskClient, engine: Engine) -> None:
    counts = []
    for round in range(2):
        for number in range(5):
            asked.say(f"Zip broke {'very ' * (number + 5 * round)}", asked.make.complaint())
        search = asked.ask(f"zip broke {'very ' * round}")
        pipeline.search(asked.context)
        with counted(engine) as sent:
            client.get(f"/complaints/search/{search}")
        counts.append(len(sent))
        assert len(asked.search(search).found) == 5 * (round + 1)
    assert counts[0] == counts[1] <= 6


def test_the_pool_offers_the_search(asked: Said, client: FlaskClient) -> None:
    asked.say("The zip broke")
    asked.make.session.commit()
    assert "/complaints/search" in links(client.get("/complaints/pool"))


def test_moments_of_a_search_are_those_of_the_clock(said: Said, now: datetime) -> None:
    assert said.search(said.ask("zip broke")).made_at == now
