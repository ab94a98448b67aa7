"""The list of a mailing: people out of a CSV file, and the lines that ask nobody, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TextIO

from feedback_loop.db import clean_text
from feedback_loop.notifications.hours import time_zones
from feedback_loop.responses.csvfiles import EMAIL, CsvFile, ImportFailed
from feedback_loop.responses.importing import read_moment

COLUMNS = ("email", "name", "language", "time_zone", "experience", "experienced_at")
MOST_PEOPLE = 50_000
OWN_EXPERIENCE = "mailing:"  # what stands for the experience of a list that names none


@dataclass(frozen=True)
class Person:
    """Somebody to be asked.

    Attributes:
        line: Of the file, or place in another list.
        email: In small letters.
        name: May be empty.
        time_zone: May be empty.
        experience: What they are asked about; empty for nothing in particular.
        context: What their answer brings along.
    """

    line: int
    email: str
    name: str = ""
    time_zone: str = ""
    experience: str = ""
    context: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Rejected:
    """A line that asks nobody.

    Attributes:
        line: Of the file.
        cause: In a few words, the same for all lines of one kind.
        reason: What is wrong with this one.
        cells: As they stand there.
    """

    line: int
    cause: str
    reason: str
    cells: Sequence[str]


class Bad(ValueError):
    """A line is not right: its cause and its reason."""

    def __init__(self, cause: str, reason: str) -> None:
        super().__init__(reason)
        self.cause = cause


def read_person(values: dict[str, str], context: dict[str, str], line: int, now: datetime) -> Person:
    """Check one line.

    Raises:
        Bad: What is wrong with it.
    """
    value = {name: clean_text(values.get(name) or "").strip() for name in COLUMNS}
    email = value["email"].lower()
    if not email:
        raise Bad("no address", "no address")
    if len(email) > 254 or not EMAIL.fullmatch(email):
        raise Bad("bad address", f"email {value['email'][:60]!r} is not an address")
    if value["time_zone"] and value["time_zone"] not in time_zones():
        zone = value["time_zone"][:60]
        raise Bad("unknown time zone", f"time_zone {zone!r} is none; write it like Europe/Berlin, or leave it empty")
    if len(value["experience"]) > 200:
        raise Bad("bad experience", "experience is longer than 200 characters")
    if value["experience"].lower().startswith(OWN_EXPERIENCE):
        raise Bad("bad experience", f"experience may not begin with “{OWN_EXPERIENCE}”")
    try:
        at = read_moment(value["experienced_at"], now, "experienced_at").isoformat() if value["experienced_at"] else ""
    except ValueError as error:
        raise Bad("bad date", str(error)) from None
    own = {"language": value["language"][:35], "experience": value["experience"], "experienced_at": at}
    return Person(
        line,
        email,
        value["name"][:200],
        value["time_zone"],
        value["experience"],
        context | {name: text for name, text in own.items() if text},
    )


def read_list(stream: TextIO, name: str, now: datetime) -> Iterator[Person | Rejected]:
    """Read a list. Its first line comes out as the first of the rejected ones, if there are any.

    Args:
        stream: Opened with `csvfiles.READING`.
        name: Of the file, for messages.
        now: The present moment.

    Raises:
        ImportFailed: The file as a whole cannot be used.
    """
    file = CsvFile(stream, name, COLUMNS, ("email",))
    asked: dict[tuple[str, str], int] = {}
    has_head = False
    for count, line in enumerate(file):
        if count >= MOST_PEOPLE:
            raise ImportFailed(f"{name} has more than {MOST_PEOPLE:,} lines. Make several mailings of it.")
        try:
            if line.values is None:
                raise Bad("unreadable line", line.problem)
            person = read_person(line.values, file.context(line.values), line.number, now)
            before = asked.setdefault((person.email, person.experience), line.number)
            if before != line.number:
                raise Bad("listed twice", f"line {before} asks the same person about the same")
            yield person
        except Bad as bad:
            if not has_head:
                has_head = True
                yield Rejected(1, "", "", file.header)
            yield Rejected(line.number, bad.cause, str(bad), [clean_text(cell) for cell in line.cells])
