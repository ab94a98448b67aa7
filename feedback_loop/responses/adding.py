"""Writes answers that are the first of their pages, many in one go. What one of them costs is what a busy survey waits
for, so each database gets the statements that are cheapest there."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    JSON,
    BindParameter,
    Connection,
    Select,
    String,
    Text,
    bindparam,
    cast,
    column,
    exists,
    func,
    insert,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from feedback_loop.responses.models import Answer, RawComment, UnconfirmedAnswer

Row = dict[str, Any]

_ANSWERS, _UNCONFIRMED, _RAW = Answer.__table__, UnconfirmedAnswer.__table__, RawComment.__table__
_KEYS: BindParameter[list[str]] = bindparam("keys", expanding=True)
# Made once: building them takes longer than running them.
UNSETTLED = select(_UNCONFIRMED.c.page_key).where(
    _UNCONFIRMED.c.page_key.in_(_KEYS), _UNCONFIRMED.c.settled_at.is_(None)
)
ADD_MISSING = sqlite.insert(Answer).on_conflict_do_nothing().returning(_ANSWERS.c.page_key, _ANSWERS.c.id)
ADD_WORDS = insert(RawComment)


def add_first_answers(connection: Connection, rows: list[tuple[Row, Row | None]]) -> set[str]:
    """Add answers with their sealed words, passing over those whose page has brought one already, be it one that waits
    to be confirmed.

    Args:
        connection: That writes.
        rows: Of each answer its row, and of its words, which lacks the answer's id, both by name of the column; None
            without words.

    Returns:
        The keys of the pages whose answers were added.
    """
    add = add_as_json if connection.dialect.name == "postgresql" else add_rows
    added: set[str] = set()
    for brings_id in (False, True):  # answers of anonymous surveys do
        alike = [(answer, words) for answer, words in rows if ("id" in answer) is brings_id]
        if alike:
            added |= add(connection, alike)
    return added


def add_rows(connection: Connection, rows: list[tuple[Row, Row | None]]) -> set[str]:
    """The same on SQLite, of answers with the same columns: statements cost nothing there."""
    unsettled = set(connection.execute(UNSETTLED, {"keys": [answer["page_key"] for answer, _ in rows]}).scalars())
    fresh = {answer["page_key"]: (answer, words) for answer, words in rows if answer["page_key"] not in unsettled}
    if not fresh:
        return set()
    found = connection.execute(ADD_MISSING, [answer for answer, _ in fresh.values()])
    ids = {row.page_key: row.id for row in found}
    words = [{"answer_id": id, **words} for key, id in ids.items() if (words := fresh[key][1]) is not None]
    if words:
        connection.execute(ADD_WORDS, words)
    return set(ids)


def add_as_json(connection: Connection, rows: list[tuple[Row, Row | None]]) -> set[str]:
    """The same on PostgreSQL: one statement with one parameter. Rows of parameters take the driver longer to write than
    the server takes to store them, and each further statement is a way there and back."""
    said = [
        answer | {"sealed": words["sealed"].decode(), "expires_at": words["expires_at"]} if words else answer
        for answer, words in rows
    ]
    names = tuple(sorted(rows[0][0]))
    return set(connection.execute(adding(names), {"rows": json.dumps(said, default=datetime.isoformat)}).scalars())


@cache
def adding(names: tuple[str, ...]) -> Select[str]:
    """The statement that adds answers from a list in JSON.

    Args:
        names: The columns of the answers that the list holds.
    """
    columns = [column(name, _ANSWERS.c[name].type) for name in names]
    columns += [column("sealed", Text), column("expires_at", _RAW.c.expires_at.type)]
    listed = func.json_to_recordset(cast(bindparam("rows", type_=String), JSON)).table_valued(*columns)
    sent = select(listed.render_derived(name="listed", with_types=True)).cte("sent")
    waits = exists().where(_UNCONFIRMED.c.page_key == sent.c.page_key, _UNCONFIRMED.c.settled_at.is_(None))
    added = (
        postgresql.insert(Answer)
        .from_select(names, select(*(sent.c[name] for name in names)).where(~waits))
        .on_conflict_do_nothing()
        .returning(_ANSWERS.c.id, _ANSWERS.c.page_key)
        .cte("added")
    )
    words = (
        insert(RawComment)
        .from_select(
            ["answer_id", "sealed", "expires_at"],
            select(added.c.id, func.convert_to(sent.c.sealed, "UTF8"), sent.c.expires_at)
            .select_from(added.join(sent, sent.c.page_key == added.c.page_key))
            .where(sent.c.sealed.is_not(None)),
        )
        .cte("words")
    )
    return select(added.c.page_key).add_cte(words)
