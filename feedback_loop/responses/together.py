"""Answers of open pages, written together: who finds others writing waits, and the next one writes for all who wait.

A commit takes as long for one answer as for twenty, so answers that come at once share one, and one look at what their
survey says by now. Each is on the disk before its page says so. Whatever is not simply a first answer is left to
`receiving`, which takes them one by one.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from feedback_loop.db import Sessions, beside
from feedback_loop.jobs.bell import ring
from feedback_loop.responses.confirming import Evidence, Judgement, Standing, judge
from feedback_loop.responses.models import Answer, Sign, UnconfirmedAnswer
from feedback_loop.responses.queries import OpenPage, open_page, read_page
from feedback_loop.responses.receiving import Given
from feedback_loop.responses.service import ADD_RAW_COMMENT, first_answer
from feedback_loop.responses.tagging import with_tags
from feedback_loop.settings import Settings

log = logging.getLogger(__name__)

MOST = 100  # answers in one transaction
GATHER = 0.005  # seconds that whoever writes waits for others, where others came the last time, too
REMEMBER = 1.0  # seconds for which what a page needs to know is not read again before its answer is written
_ANSWERS, _UNCONFIRMED = Answer.__table__.c, UnconfirmedAnswer.__table__.c
_KEYS: BindParameter[list[str]] = bindparam("keys", expanding=True)
# Made once: building it takes longer than running it.
ADD_MISSING = {
    name: dialect.insert(Answer.__table__).on_conflict_do_nothing().returning(_ANSWERS.page_key, _ANSWERS.id)
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}
UNSETTLED = select(_UNCONFIRMED.page_key).where(_UNCONFIRMED.page_key.in_(_KEYS), _UNCONFIRMED.settled_at.is_(None))


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
        is_done: Whether somebody has looked after it.
        is_written: Whether it is on the disk.
        has_changed: Whether the survey says something else by now.
    """

    page: OpenPage
    page_key: str
    answer: dict[str, Any]
    words: dict[str, Any] | None
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
        self.wrote = 0
        self.adding, self.writing = threading.Lock(), threading.Lock()

    def page(self, slug: str, remembered: bool) -> OpenPage | None:
        """What the open page of an address needs to know.

        Args:
            slug: Of the survey.
            remembered: Whether what was read within the last second will do, because `take` looks again.

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
        """Write an answer, and with it all that wait. Where it is not written, nothing of it is."""
        with self.adding:
            self.waiting.append(one)
        with self.writing:
            while not one.is_done:
                if self.wrote > 1:
                    time.sleep(GATHER)
                with self.adding:
                    batch, self.waiting = self.waiting[:MOST], self.waiting[MOST:]
                try:
                    self._write(batch)
                except Exception:
                    # One of them, perhaps another than this one, hinders all; each tries again by itself, and says
                    # what is wrong.
                    log.debug("Answers could not be written together.", exc_info=True)
                finally:
                    self.wrote = len(batch)
                    for each in batch:
                        each.is_done = True

    def _write(self, batch: list[Waiting]) -> None:
        with self.sessions() as session:
            connection = session.connection()
            slugs = {each.page.survey.slug for each in batch}
            said = {slug: read_page(connection, slug) for slug in slugs}
            for each in batch:
                each.has_changed = said[each.page.survey.slug] != each.page.read
            unsettled = set(connection.execute(UNSETTLED, {"keys": [each.page_key for each in batch]}).scalars())
            fresh = {each.page_key: each for each in batch if each.page_key not in unsettled and not each.has_changed}
            ids: dict[str, int] = {}
            for brings_id in (True, False):  # answers of anonymous surveys do
                rows = [each.answer for each in fresh.values() if ("id" in each.answer) is brings_id]
                ids |= add_missing_answers(connection, rows)
            worded = [each for each in fresh.values() if each.words is not None and each.page_key in ids]
            words = [{"answer_id": ids[each.page_key], **(each.words or {})} for each in worded]
            if words:
                connection.execute(ADD_RAW_COMMENT, words)
                ring(session, "understand")
            session.commit()
        for each in fresh.values():
            each.is_written = each.page_key in ids


def add_missing_answers(connection: Connection, rows: list[dict[str, Any]]) -> dict[str, int]:
    """Add answers, passing over those whose page has brought one already.

    Args:
        connection: That writes.
        rows: Values by name of the column, the same names in all.

    Returns:
        The ids of those that were added, by the key of their page.
    """
    if not rows:
        return {}
    return {row.page_key: row.id for row in connection.execute(ADD_MISSING[connection.dialect.name], rows)}
