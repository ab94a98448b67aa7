"""Answers of open pages, written together: who finds others writing waits, and the next one writes for all who wait.

A commit takes as long for one answer as for twenty, so answers that come at once share one, and one look at what their
survey says by now. Each is on the disk before its page says so. Whatever is not simply a first answer is left to
`receiving`, which takes them one by one.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from feedback_loop.db import Sessions, beside
from feedback_loop.jobs.bell import ring
from feedback_loop.responses.adding import add_first_answers
from feedback_loop.responses.confirming import Evidence, Judgement, Standing, judge
from feedback_loop.responses.models import Sign
from feedback_loop.responses.queries import OpenPage, open_page, read_decisive
from feedback_loop.responses.receiving import Given
from feedback_loop.responses.service import first_answer
from feedback_loop.responses.tagging import with_tags
from feedback_loop.settings import Settings

log = logging.getLogger(__name__)

MOST = 100  # answers in one transaction
GATHER = 0.005  # seconds that whoever writes waits for others, where others came the last time, too
REMEMBER = 1.0  # seconds for which what a page needs to know is not read again before its answer is written


class Changed(Exception):
    """The survey is not what the page was judged by any more; nothing is written."""


@dataclass
class Waiting:
    """An answer that is to be written.

    Attributes:
        page: By which it was judged.
        page_key: Of the page it came from.
        answer: Its row, by name of the column.
        words: The row of what is to be redacted, without the id; None without words.
        turn: Held until somebody has looked after it, or it is to look after all that wait.
        is_done: Whether somebody has looked after it.
        is_written: Whether it is on the disk.
        has_changed: Whether the survey says something else by now.
    """

    page: OpenPage
    page_key: str
    answer: dict[str, Any]
    words: dict[str, Any] | None
    turn: threading.Lock = field(default_factory=threading.Lock)
    is_done: bool = False
    is_written: bool = False
    has_changed: bool = False


class Together:
    """The answers that wait in this process.

    Args:
        sessions: Maker of sessions.
    """

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.remembered: dict[str, tuple[float, OpenPage]] = {}
        self.waiting: list[Waiting] = []
        self.is_written_to = False
        self.wrote = 0
        self.adding = threading.Lock()

    def page(self, slug: str, remembered: bool) -> OpenPage | None:
        """What the open page of an address needs to know.

        Args:
            slug: Of the survey.
            remembered: Whether what was read within the last second will do, because `take` looks again, and so
                does whoever takes in what it leaves.

        Returns:
            None where there is no such survey.
        """
        until, found = self.remembered.get(slug, (0.0, None))
        if remembered and found is not None and until > time.monotonic():
            return found
        with beside(self.sessions) as connection:
            found = open_page(connection, slug)
        if found is not None:
            self.remembered[slug] = time.monotonic() + REMEMBER, found
        return found

    def last_origins(self, slug: str) -> list[str]:
        """Where a survey could be embedded when its page was last read here; for when it cannot be read again."""
        found = self.remembered.get(slug, (0.0, None))[1]
        return list(found.survey.embed_origins) if found is not None else []

    def take(self, page: OpenPage, given: Given, now: datetime, settings: Settings) -> Judgement | None:
        """Take in what an open page brought, if it is a first answer that counts.

        Returns:
            What it was worth; None where nothing was written and `receiving.receive` has to look at it.

        Raises:
            Changed: The survey has changed since `page` was read.
        """
        survey = page.survey
        if given.sign != Sign.SENT or given.email or survey.answer_limit is not None:
            return None
        judgement = judge(
            Evidence(
                sign=given.sign,
                score=given.score,
                now=now,
                page_age=now - given.page_made_at,
                is_prefetch=given.is_prefetch,
                takes_gestures=survey.takes_gestures,
                doubt=given.doubt,
            )
        )
        if judgement.standing != Standing.CONFIRMED:
            return None
        answer, words = first_answer(
            survey,
            score=given.score,
            comment=given.comment,
            context=with_tags(given.context, (), given.tags),
            now=now,
            settings=settings,
            sign=given.sign,
            page_key=given.page_key,
            survey_version=given.survey_version,
            receipt_hash=given.receipt_hash,
        )
        one = Waiting(page, given.page_key, answer, words)
        self.write(one)
        if one.has_changed:
            raise Changed
        return judgement if one.is_written else None

    def write(self, one: Waiting) -> None:
        """Write an answer, and with it all that wait. Where it is not written, nothing of it is.

        Whoever comes while another writes sleeps until it is woken by name: where all queued for one lock, each would
        hold it while it waits for the interpreter, and those behind would wait for all of them.
        """
        one.turn.acquire()
        with self.adding:
            self.waiting.append(one)
            is_first, self.is_written_to = not self.is_written_to, True
        if not is_first:
            one.turn.acquire()
        if one.is_done:
            return
        if self.wrote > 1:
            time.sleep(GATHER)
        with self.adding:
            batch, self.waiting = self.waiting[:MOST], self.waiting[MOST:]
        try:
            self._write(batch)
        except Exception:
            # One of them, perhaps another than this one, hinders all; each tries again by itself, and says what is
            # wrong.
            log.debug("Answers could not be written together.", exc_info=True)
        finally:
            self.wrote = len(batch)
            with self.adding:
                self.is_written_to = bool(self.waiting)
                following = self.waiting[:1]
            for each in batch:
                each.is_done = True
            for each in [*following, *batch]:
                each.turn.release()

    def _write(self, batch: list[Waiting]) -> None:
        with self.sessions() as session:
            connection = session.connection()
            slugs = {each.page.survey.slug for each in batch}
            decisive = {slug: read_decisive(connection, slug) for slug in slugs}
            for each in batch:
                each.has_changed = decisive[each.page.survey.slug] != each.page.decisive
            # One of each page; another that is sent from it at the same moment changes the answer of this one.
            fresh = {each.page_key: each for each in batch if not each.has_changed}
            added = add_first_answers(connection, [(each.answer, each.words) for each in fresh.values()])
            if any(each.words is not None and key in added for key, each in fresh.items()):
                ring(session, "understand")
            session.commit()
        for key, each in fresh.items():
            each.is_written = key in added
