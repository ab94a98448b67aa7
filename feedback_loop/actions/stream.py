"""The history of an action item as one stream: comments, changes, and what customers said since it was opened."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, func, literal, select, union_all
from sqlalchemy.orm import Session, joinedload

from feedback_loop.actions.models import ActionEvent, ActionItem
from feedback_loop.complaints.models import Statement
from feedback_loop.responses.models import Answer
from feedback_loop.web.paging import Page, offset

ENTRIES_A_PAGE = 50
# Written by the program because of what customers answered; a reply holds their own words.
OF_CUSTOMERS = ("comment", "verified", "reopened", "reply")


class Show(StrEnum):
    """What of the history is shown."""

    ALL = "all"
    COMMENTS = "comments"
    CHANGES = "changes"
    CUSTOMERS = "customers"


@dataclass
class Entry:
    """One entry: something that happened to the item, or statements that came in one after the other.

    Attributes:
        at: When; of several statements the newest.
        event: What happened; None for statements.
        statements: Those that came in, the newest first.
    """

    at: datetime
    event: ActionEvent | None = None
    statements: list[Statement] = field(default_factory=list)


def is_comment() -> ColumnElement[bool]:
    """Whether an entry was written by a colleague."""
    return (ActionEvent.kind == "comment") & ActionEvent.by_id.is_not(None)


def is_of_customers() -> ColumnElement[bool]:
    """Whether an entry stands there because of what customers said."""
    return ActionEvent.kind.in_(OF_CUSTOMERS) & ActionEvent.by_id.is_(None)


def stream(session: Session, item: ActionItem, show: Show, page: int) -> Page[Entry]:
    """A page of an item's history, the newest first. Statements beside each other on it are one entry.

    Args:
        show: What of it.
        page: From 1.
    """
    wanted: list[ColumnElement[bool]] = {
        Show.ALL: [],
        Show.COMMENTS: [is_comment()],
        Show.CHANGES: [~is_comment(), ~is_of_customers()],
        Show.CUSTOMERS: [is_of_customers()],
    }[show]
    of_item = [ActionEvent.action_item_id == item.id, *wanted]
    said = [Statement.complaint_id == item.complaint_id, Statement.said_at > item.created_at]
    with_statements = show in (Show.ALL, Show.CUSTOMERS)
    start = offset(page, ENTRIES_A_PAGE)
    counts = [select(func.count()).select_from(ActionEvent).where(*of_item).scalar_subquery()]
    # Each side is cut by its index before both are put in order: a complaint may hold many thousands.
    upto = start + ENTRIES_A_PAGE
    sides = [
        select(literal(1).label("is_event"), ActionEvent.id.label("id"), ActionEvent.at.label("at"))
        .where(*of_item)
        .order_by(ActionEvent.at.desc(), ActionEvent.id.desc())
        .limit(upto)
        .subquery()
    ]
    if with_statements:
        counts.append(select(func.count()).select_from(Statement).where(*said).scalar_subquery())
        sides.append(
            select(literal(0).label("is_event"), Statement.id.label("id"), Statement.said_at.label("at"))
            .where(*said)
            .order_by(Statement.said_at.desc(), Statement.id.desc())
            .limit(upto)
            .subquery()
        )
    both = union_all(*(select(side) for side in sides)).subquery()
    shown = (
        select(both)
        .order_by(both.c.at.desc(), both.c.is_event.desc(), both.c.id.desc())
        .offset(start)
        .limit(ENTRIES_A_PAGE)
        .subquery()
    )
    rows = session.execute(
        select(ActionEvent, Statement, *counts)
        .select_from(shown)
        .outerjoin(ActionEvent, (shown.c.is_event == 1) & (ActionEvent.id == shown.c.id))
        .outerjoin(Statement, (shown.c.is_event == 0) & (Statement.id == shown.c.id))
        .options(joinedload(ActionEvent.by), joinedload(Statement.answer).joinedload(Answer.survey))
        .order_by(shown.c.at.desc(), shown.c.is_event.desc(), shown.c.id.desc())
    ).all()
    entries: list[Entry] = []
    for event, statement, *_ in rows:
        if event is not None:
            entries.append(Entry(event.at, event))
        elif entries and entries[-1].statements:
            entries[-1].statements.append(statement)
        else:
            entries.append(Entry(statement.said_at, None, [statement]))
    totals = rows[0][2:] if rows else session.execute(select(*counts)).one()  # no row: a page after the last one
    return Page(entries, page, ENTRIES_A_PAGE, sum(totals))
