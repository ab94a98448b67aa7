"""Tables for spreadsheets and other programs, streamed to a CSV file."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from feedback_loop.accounts.models import Team, User
from feedback_loop.actions.models import ActionItem, Closure
from feedback_loop.complaints.models import Complaint, Statement, StatementRole
from feedback_loop.csvcells import safe
from feedback_loop.followups.models import Verdict
from feedback_loop.responses.models import Answer, Customer
from feedback_loop.surveys.models import Survey
from feedback_loop.surveys.scales import SCALES

ROWS_AT_ONCE = 1000
Table = tuple[Sequence[str], Select[*tuple[Any, ...]], Callable[[Any], Sequence[object]]]


def complaint_number(complaint_id: int | None) -> str:
    """`C-42`, or nothing."""
    return f"C-{complaint_id}" if complaint_id else ""


def answers() -> Table:
    """One line an answer, with the complaint of its main statement."""
    main = aliased(Statement)
    query = (
        select(Answer, Survey.slug, Survey.scale, Customer.email, Customer.name, main.complaint_id, Complaint.name)
        .join(Survey, Survey.id == Answer.survey_id)
        .outerjoin(Customer, Customer.id == Answer.customer_id)
        .outerjoin(main, and_(main.answer_id == Answer.id, main.position == 0))
        .outerjoin(Complaint, Complaint.id == main.complaint_id)
        .order_by(Answer.id)
    )
    header = (
        "external_id", "survey", "score", "comment", "answered_at", "customer_email", "customer_name",
        "primary_complaint_id", "primary_complaint_name", "context",
    )  # fmt: skip

    def line(row: Any) -> Sequence[object]:
        answer, slug, scale, email, name, complaint_id, complaint_name = row
        return (
            answer.external_id or f"answer:{answer.id}", slug, SCALES[scale].write(answer.score), answer.comment,
            answer.answered_at, email, name, complaint_number(complaint_id), complaint_name,
            json.dumps(answer.context, ensure_ascii=False) if answer.context else "",
        )  # fmt: skip

    return header, query, line


def statements() -> Table:
    """One line a statement: every whole comment, and the parts that belong to another complaint than their whole."""
    query = (
        select(Statement, Answer.external_id, Complaint.name)
        .join(Answer, Answer.id == Statement.answer_id)
        .outerjoin(Complaint, Complaint.id == Statement.complaint_id)
        .where(or_(Statement.role == StatementRole.MAIN, Statement.complaint_id.is_not(None)))
        .order_by(Statement.id)
    )
    header = (
        "answer_external_id", "position", "text", "kind", "complaint_id", "complaint_name", "confidence", "placed_by",
        "reason", "said_at",
    )  # fmt: skip

    def line(row: Any) -> Sequence[object]:
        said, external_id, name = row
        return (
            external_id or f"answer:{said.answer_id}", said.position, said.text, said.kind.value,
            complaint_number(said.complaint_id), name, said.confidence, said.placed.value if said.placed else "",
            said.reason, said.said_at,
        )  # fmt: skip

    return header, query, line


def complaints() -> Table:
    """One line a complaint."""
    query = (
        select(Complaint, ActionItem.status, Team.name)
        .outerjoin(ActionItem, ActionItem.complaint_id == Complaint.id)
        .outerjoin(Team, Team.id == ActionItem.team_id)
        .order_by(Complaint.id)
    )
    header = (
        "complaint_id", "name", "state", "merged_into", "keywords", "statements", "known_people", "anonymous",
        "first_said_at", "last_said_at", "action_status", "team",
    )  # fmt: skip

    def line(row: Any) -> Sequence[object]:
        complaint, status, team = row
        return (
            complaint.number, complaint.name, complaint.state.value, complaint_number(complaint.merged_into_id),
            ", ".join(complaint.keywords), complaint.statement_count, complaint.people_count, complaint.anonymous_count,
            complaint.first_said_at, complaint.last_said_at, status.value if status else "", team,
        )  # fmt: skip

    return header, query, line


def actions() -> Table:
    """One line an action item, with its newest closing and verdict."""
    newest = (
        select(Closure.action_item_id, func.max(Closure.id).label("closure_id"))
        .group_by(Closure.action_item_id)
        .subquery()
    )
    query = (
        select(ActionItem, Complaint.name, Team.name, User.name, Closure, Verdict)
        .join(Complaint, Complaint.id == ActionItem.complaint_id)
        .join(Team, Team.id == ActionItem.team_id)
        .outerjoin(User, User.id == ActionItem.owner_id)
        .outerjoin(newest, newest.c.action_item_id == ActionItem.id)
        .outerjoin(Closure, Closure.id == newest.c.closure_id)
        .outerjoin(Verdict, Verdict.closure_id == Closure.id)
        .order_by(ActionItem.id)
    )
    header = (
        "action_id", "complaint_id", "complaint_name", "team", "owner", "status", "due_at", "created_at",
        "reopened_count", "closings", "closed_at", "outcome", "done", "root_cause", "statement", "verdict", "asked",
        "yes", "no", "waiting_for", "waiting_since",
    )  # fmt: skip

    def line(row: Any) -> Sequence[object]:
        item, name, team, owner, closure, verdict = row
        closed = (
            (
                closure.number,
                closure.closed_at,
                closure.outcome.value,
                closure.done,
                closure.root_cause,
                closure.statement,
            )
            if closure
            else (0, "", "", "", "", "")
        )
        judged = (verdict.kind.value, verdict.asked, verdict.yes, verdict.no) if verdict else ("", "", "", "")
        return (
            item.id, complaint_number(item.complaint_id), name, team, owner, item.status.value, item.due_at,
            item.created_at, item.reopened_count, *closed, *judged, item.waiting_for, item.waiting_since,
        )  # fmt: skip

    return header, query, line


TABLES: dict[str, Callable[[], Table]] = {
    "answers": answers,
    "statements": statements,
    "complaints": complaints,
    "actions": actions,
}


def lines(session: Session, table: str) -> Iterator[Sequence[object]]:
    """A table as lines, the header first. Rows are fetched as they are written, so memory stays bounded."""
    header, query, line = TABLES[table]()
    yield header
    for row in session.execute(query.execution_options(yield_per=ROWS_AT_ONCE)):
        yield [safe(cell) for cell in line(row)]


def export(session: Session, table: str, path: Path, progress: Callable[[int], None] | None = None) -> int:
    """Write a table to a file; the file appears when it is whole.

    Args:
        session: A session that reads.
        table: A key of `TABLES`.
        path: Where to.
        progress: Called with the lines written so far, now and then.

    Returns:
        How many lines were written, the header not counted.
    """
    draft = path.with_name(path.name + ".part")
    count = -1
    with draft.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        for line in lines(session, table):
            writer.writerow(line)
            count += 1
            if progress and count % ROWS_AT_ONCE == 0:
                progress(count)
    draft.replace(path)
    return count
