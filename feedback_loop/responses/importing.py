"""Answers from a CSV file: streamed, idempotent, and nothing lost: bad rows go to a file of their own with the
reason."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from feedback_loop import tokens
from feedback_loop.db import Sessions, clean_text, insert_missing
from feedback_loop.jobs.bell import ring
from feedback_loop.responses.anonymity import kept_context, kept_time, new_id
from feedback_loop.responses.csvfiles import EMAIL, READING, CsvFile, ImportFailed
from feedback_loop.responses.models import Answer, Customer, RawComment, Sign
from feedback_loop.responses.raw import seal
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import Survey
from feedback_loop.surveys.scales import SCALES, Scale

COLUMNS = ("external_id", "customer_email", "customer_name", "score", "comment", "answered_at")
PERSONAL = ("customer_email", "customer_name", "external_id")  # what an anonymous survey takes no answer with
ID_LENGTH = 200
EMAIL_LENGTH = 254
NAME_LENGTH = 200
CONTEXT_NAME_LENGTH = 80
CONTEXT_LENGTH = 1000
BATCH = 1000


class BadRow(ValueError):
    """A row cannot be taken; says why, and the column that is to blame."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column


@dataclass(frozen=True)
class Row:
    """One good row."""

    external_id: str
    email: str
    name: str
    score: int | None
    comment: str
    answered_at: datetime
    context: dict[str, str]


@dataclass
class Imported:
    """What an import did. Counts of rows."""

    added: int = 0
    known: int = 0
    rejected: int = 0
    rejected_file: Path | None = None

    @property
    def rows(self) -> int:
        """All rows read."""
        return self.added + self.known + self.rejected


@dataclass
class Rejects:
    """The file of bad rows, made when the first one turns up."""

    path: Path
    header: Sequence[str]
    stream: io.TextIOWrapper | None = None
    writer: Any = None
    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, line: int, cells: Sequence[str], reason: str) -> None:
        """Write a bad row as it was, with its line and the reason in front."""
        if self.stream is None:
            self.stream = self.path.open("w", newline="", encoding="utf-8", errors="surrogateescape")
            self.writer = csv.writer(self.stream)
            self.writer.writerow(["rejected_line", "rejected_because", *self.header])
        self.writer.writerow([line, reason, *cells])
        self.count += 1

    def close(self) -> None:
        """Finish the file."""
        if self.stream is not None:
            self.stream.close()


def read_moment(text: str, now: datetime, name: str = "answered_at") -> datetime:
    """Read a date or a moment in ISO 8601; without a time zone it is UTC, empty means now.

    Args:
        text: As it stands in the file.
        now: The present moment.
        name: Of the column, for messages.

    Raises:
        BadRow: Not such a moment, or one that has yet to come.
    """
    if not text:
        return now
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadRow(
            name, f"{name} {text[:40]!r} is not a date; write it like 2026-10-12 or 2026-10-12T14:05"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment > now + timedelta(days=1):
        raise BadRow(name, f"{name} {text[:40]!r} has yet to come")
    if moment.year < 1990:
        raise BadRow(name, f"{name} {text[:40]!r} is too long ago to be right")
    return moment


def read_email(text: str) -> str:
    """Check the address of a customer; empty means that we do not know it.

    Raises:
        BadRow: It is none.
    """
    email = text.lower()  # which may be longer
    if text and (len(email) > EMAIL_LENGTH or not EMAIL.fullmatch(text)):
        raise BadRow("customer_email", f"customer_email {text[:60]!r} is not an address")
    return email


def read_row(
    cells: Mapping[str, str], context: dict[str, str], line: int | None, scale: Scale, now: datetime, comment_limit: int
) -> Row:
    """Check one row.

    Args:
        cells: Text by column name.
        context: What stands in the other columns.
        line: Its number in the file; stands in for a missing external id, which otherwise stays empty.
        scale: The survey's.
        now: The present moment.
        comment_limit: In characters.

    Raises:
        BadRow: What is wrong with it.
    """
    value = {name: clean_text(cells.get(name) or "").strip() for name in COLUMNS}
    try:
        score = scale.parse(value["score"])
    except ValueError as error:
        raise BadRow("score", str(error)) from None
    if score is None and not value["comment"]:
        raise BadRow("", "neither score nor comment")
    if len(value["comment"]) > comment_limit:
        raise BadRow(
            "comment", f"the comment has {len(value['comment']):,} characters; at most {comment_limit:,} are taken"
        )
    email = read_email(value["customer_email"])
    if len(value["external_id"]) > ID_LENGTH:
        raise BadRow("external_id", f"external_id is longer than {ID_LENGTH} characters")
    stand_in = ""
    if line is not None:
        # The same file imported again finds its rows by line and content where it names none by id.
        content = [*value.values(), *(f"{name}={text}" for name, text in sorted(context.items()))]
        digest = hashlib.sha256("\x1f".join(content).encode()).hexdigest()[:16]
        stand_in = f"line:{line}:{digest}"
    return Row(
        external_id=value["external_id"] or stand_in,
        email=email,
        name=value["customer_name"][:NAME_LENGTH],
        score=score,
        comment=value["comment"],
        answered_at=read_moment(value["answered_at"], now),
        context=context,
    )


def import_answers(
    sessions: Sessions,
    settings: Settings,
    survey: Survey,
    path: Path,
    now: datetime,
    progress: Callable[[int, Imported], None] | None = None,
) -> Imported:
    """Import a file of answers to one survey. Importing it again adds nothing; breaking off loses nothing.

    Args:
        sessions: Maker of sessions.
        settings: For the comment limit, and the key and lifetime of raw text.
        survey: Whose scale the scores are on.
        path: The file, UTF-8 with or without a byte order mark.
        now: The present moment.
        progress: Called after each batch with the bytes read and the counts so far.

    Raises:
        ImportFailed: The file as a whole cannot be read.
    """
    scale = SCALES[survey.scale]
    done = Imported()
    try:
        binary = path.open("rb")
    except OSError as error:
        raise ImportFailed(f"{path} cannot be opened: {error.strerror}.") from error
    with binary, io.TextIOWrapper(binary, **READING) as stream:
        file = CsvFile(stream, str(path), COLUMNS, ("score", "comment"))
        rejects = Rejects(path.with_name(path.name.removesuffix(".csv") + ".rejected.csv"), file.header)
        batch: list[Row] = []

        def flush() -> None:
            if batch:
                with sessions.begin() as session:
                    added = write_batch(session, settings, survey, batch, now)
                done.added += added
                done.known += len(batch) - added
                batch.clear()
            done.rejected = rejects.count
            if progress:
                progress(binary.tell(), done)

        try:
            for line in file:
                try:
                    if line.values is None:
                        raise ValueError(line.problem)
                    context = file.context(line.values)
                    if survey.is_anonymous:
                        refuse_person(line.values)
                    row = read_row(line.values, context, line.number, scale, now, settings.comment_limit)
                    batch.append(without_person(row, survey, settings) if survey.is_anonymous else row)
                except ValueError as error:
                    rejects.add(line.number, line.cells, str(error))
                if len(batch) >= BATCH:
                    flush()
            flush()
        finally:
            rejects.close()
    done.rejected_file = rejects.path if rejects.count else None
    return done


def refuse_person(cells: Mapping[str, str]) -> None:
    """Refuse a row for an anonymous survey that says whose answer it is.

    Raises:
        BadRow: What has to be left out.
    """
    for column in PERSONAL:
        if (cells.get(column) or "").strip():
            raise BadRow(column, f"this survey is anonymous: leave {column} out, for it leads to a person")


def without_person(row: Row, survey: Survey, settings: Settings) -> Row:
    """A row as an anonymous survey keeps it.

    The id by which a line of a file is found again is made anew with this installation's key: nobody else can tell
    which line of which file became which answer.
    """
    mark = tokens.hashed(tokens.derive(settings.secret_key, "import", row.external_id)) if row.external_id else ""
    return replace(
        row,
        external_id=mark,
        answered_at=kept_time(survey, row.answered_at),
        context=kept_context(survey, row.context),
    )


def write_batch(session: Session, settings: Settings, survey: Survey, batch: Sequence[Row], now: datetime) -> int:
    """Write those rows of a batch that are not known yet.

    Returns:
        How many were new.
    """
    known = set(
        session.scalars(
            select(Answer.external_id).where(
                Answer.survey_id == survey.id, Answer.external_id.in_([row.external_id for row in batch])
            )
        )
    )
    fresh: dict[str, Row] = {}
    for row in batch:
        if row.external_id not in known:
            fresh.setdefault(row.external_id, row)
    return len(insert_rows(session, settings, survey, list(fresh.values()), now))


def insert_rows(
    session: Session, settings: Settings, survey: Survey, rows: Sequence[Row], now: datetime
) -> Sequence[int]:
    """Write rows that are new, with their customers and sealed comments.

    Returns:
        The ids of the answers, in the order of the rows.
    """
    if not rows:
        return []
    customers = customer_ids(session, ((row.email, row.name) for row in rows), now)
    now = kept_time(survey, now)
    values: list[dict[str, Any]] = [
        {
            "survey_id": survey.id,
            "customer_id": customers.get(row.email),
            "external_id": row.external_id or None,
            "score": row.score,
            "comment": None if row.comment else "",
            "redactions": [],
            "context": row.context,
            "answered_at": row.answered_at,
            "received_at": now,
            "sign": Sign.IMPORT,
            **new_id(survey),
            "redacted_at": None if row.comment else now,
        }
        for row in rows
    ]
    ids = session.scalars(insert(Answer).returning(Answer.id, sort_by_parameter_order=True), values).all()
    expires_at = now + timedelta(days=max(1, settings.raw_text_days))
    raw = [
        {"answer_id": id, "sealed": seal(row.comment, settings.secret_key, now), "expires_at": expires_at}
        for id, row in zip(ids, rows, strict=True)
        if row.comment
    ]
    if raw:
        session.execute(insert(RawComment), raw)
        ring(session, "understand")
    return ids


def customer_ids(session: Session, people: Iterable[tuple[str, str]], now: datetime) -> dict[str, int]:
    """The customers of some addresses and names, by address, made where there are none."""
    names: dict[str, str] = {}
    for email, name in people:
        if email:
            names[email] = names.get(email) or name
    if not names:
        return {}
    insert_missing(session, Customer, [{"email": e, "name": n, "created_at": now} for e, n in sorted(names.items())])
    found = session.execute(select(Customer.email, Customer.id).where(Customer.email.in_(names)))
    return dict(found.all())
