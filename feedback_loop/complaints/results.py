"""What a search found, as people read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from feedback_loop.complaints.models import Complaint, ComplaintState, Search, SearchState, Statement
from feedback_loop.complaints.queries import with_origin

PATIENCE = timedelta(seconds=20)  # after that, people are told what may be wrong
WATCHED_FOR = timedelta(minutes=10)  # after that, the page no longer asks by itself
SHOWN = 100  # statements of one search
IDEAS = 3
RECENT = 5


class Nearness(IntEnum):
    """How near a statement is to what was searched; what that is in cosines depends on the model."""

    SOMEWHAT_CLOSE = 0
    CLOSE = 1
    VERY_CLOSE = 2

    @property
    def words(self) -> str:
        """As people read it."""
        return self.name.replace("_", " ").lower()


class Wait(StrEnum):
    """What to say while there is no answer."""

    LOOKING = "looking"
    NO_WORKER = "no worker"
    LONG = "long"


@dataclass(frozen=True)
class Finding:
    """One statement that was found.

    Attributes:
        statement: With its answer, survey and complaint.
        cosine: To what was searched.
        same: Statements with these words in this place, with this one.
        nearness: The cosine in words.
    """

    statement: Statement
    cosine: float
    same: int
    nearness: Nearness


@dataclass(frozen=True)
class Place:
    """Where some of the statements stand: in a complaint, or in the pool (None)."""

    complaint: Complaint | None
    statements: int

    @property
    def key(self) -> str:
        """As it stands in the address."""
        return str(self.complaint.id) if self.complaint else "pool"


@dataclass(frozen=True)
class Results:
    """What a search found, of one place or of all.

    Attributes:
        near: Very close and close ones.
        far: Those that are only somewhat close.
        places: Where those that are near stand (all of them, if none is near), the one with most first; whatever place
            was asked for.
        statements: How many these are, counting those with the same words.
        place: The one asked for, or None for all.
        is_full: Whether more may be near than are kept.
    """

    near: Sequence[Finding]
    far: Sequence[Finding]
    places: Sequence[Place]
    statements: int
    place: Place | None
    is_full: bool


def wait(search: Search, now: datetime) -> Wait:
    """What to say about a search that is not answered yet."""
    if now - search.made_at < PATIENCE:
        return Wait.LOOKING
    return Wait.LONG if search.attempts else Wait.NO_WORKER


def is_watched(search: Search, now: datetime) -> bool:
    """Whether its page asks for the answer by itself."""
    return search.state == SearchState.WAITING and now - search.made_at < WATCHED_FOR


def results(session: Session, search: Search, place: str = "") -> Results:
    """Read what a search found, where it stands now; what is gone meanwhile is left out.

    Args:
        session: A session that reads.
        search: One that is done.
        place: The number of a complaint or `pool`; anything else means everywhere.
    """
    rows = session.scalars(
        with_origin(select(Statement))
        .where(Statement.id.in_([int(found[0]) for found in search.found]))
        .options(joinedload(Statement.complaint))
    )
    by_id = {row.id: row for row in rows}
    found = [
        Finding(by_id[int(id)], cosine, int(same), Nearness(int(nearness)))
        for id, cosine, same, nearness in search.found
        if int(id) in by_id
    ]
    near = [each for each in found if each.nearness > Nearness.SOMEWHAT_CLOSE]
    places = places_of(near or found)
    chosen = next((each for each in places_of(found) if each.key == place), None)
    if chosen:
        found = [each for each in found if key_of(each) == chosen.key]
    return Results(
        [each for each in found if each.nearness > Nearness.SOMEWHAT_CLOSE],
        [each for each in found if each.nearness == Nearness.SOMEWHAT_CLOSE],
        places,
        sum(each.statements for each in places),
        chosen,
        len(search.found) >= SHOWN,
    )


def key_of(finding: Finding) -> str:
    """Where a finding stands, as in the address."""
    return str(finding.statement.complaint_id or "pool")


def places_of(findings: Sequence[Finding]) -> list[Place]:
    """Where findings stand, the place with most statements first."""
    counts: Counter[str] = Counter()
    complaints = {key_of(each): each.statement.complaint for each in findings}
    for each in findings:
        counts[key_of(each)] += each.same
    return [Place(complaints[key], count) for key, count in counts.most_common()]


def recent(session: Session, by_id: int) -> list[Search]:
    """What a person searched of late, the newest first."""
    newest = select(Search).where(Search.by_id == by_id).order_by(Search.made_at.desc(), Search.id.desc())
    return list(session.scalars(newest.limit(RECENT)))


def ideas(session: Session) -> list[str]:
    """What one might search for: names of the complaints of most people."""
    return list(
        session.scalars(
            select(Complaint.name)
            .where(Complaint.state == ComplaintState.ACTIVE, Complaint.statement_count > 0)
            .order_by(Complaint.people_count.desc(), Complaint.id)
            .limit(IDEAS)
        )
    )


def origin(session: Session, search: Search) -> Statement | None:
    """The statement whose like is searched, with where it comes from; None for a search in one's own words."""
    if search.statement_id is None:
        return None
    query = with_origin(select(Statement)).options(joinedload(Statement.complaint))
    return session.scalar(query.where(Statement.id == search.statement_id))
