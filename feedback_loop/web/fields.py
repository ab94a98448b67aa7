"""The members of an item that programs send. Each says what it is and how it is read in one place, so that what the
description promises is what is checked. They look at the JSON only; what a text means is checked by the verb."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from feedback_loop.db import clean_text
from feedback_loop.web.jsonbody import pointer
from feedback_loop.web.problems import Fault

MOMENT_EXAMPLE = "2026-10-12T14:05:00Z"


class Unlike(ValueError):
    """An item is not as described; says where and why."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(faults[0].detail)
        self.faults = faults


@dataclass(frozen=True)
class Text:
    """A text.

    Attributes:
        name: Of the member.
        about: What it is, for the description.
        example: One that is taken, or None to show none.
        required: Whether it must be there and say something; others may be left out, null or empty.
        longest: In characters.
    """

    name: str
    about: str
    example: Any
    required: bool = False
    longest: int | None = None

    @property
    def types(self) -> list[str]:
        """Of what JSON it may be."""
        return ["string"] if self.required else ["string", "null"]

    def schema(self) -> dict[str, Any]:
        """What it may be, as JSON Schema."""
        schema: dict[str, Any] = {"type": self.types[0] if len(self.types) == 1 else self.types}
        if self.longest is not None:
            schema["maxLength"] = self.longest
        if self.required:
            schema |= {"minLength": 1, "pattern": "\\S"}
        examples = {} if self.example is None else {"examples": [self.example]}
        return schema | {"description": self.about} | examples

    def read(self, value: Any, where: str) -> Any:
        """Read it.

        Args:
            value: What was sent.
            where: It stands in the body.

        Returns:
            Storable text; empty when there is none.

        Raises:
            Unlike: It is not as described.
        """
        if value is None and not self.required:
            return ""
        if not isinstance(value, str):
            raise fault(f"{self.name} must be {self.kind}, not {called(value)}", where)
        if self.longest is not None and len(value) > self.longest:
            raise fault(f"{self.name} has {len(value):,} characters; at most {self.longest:,} are taken", where)
        text = clean_text(value).strip()
        if self.required and not text:
            raise fault(f"{self.name} is empty", where)
        return text

    @property
    def kind(self) -> str:
        """What it is, for messages."""
        return "a text"


@dataclass(frozen=True)
class Score(Text):
    """A score: a whole number, or a text such as yes."""

    @property
    def types(self) -> list[str]:
        """Of what JSON it may be."""
        return ["string", "integer", "null"]

    def read(self, value: Any, where: str) -> Any:
        """Read it as a text."""
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # JSON knows one kind of number: 4.0 is 4
        if isinstance(value, int) and not isinstance(value, bool):
            # Of the longest numbers one cannot even write the digits down; none is a score.
            return str(value) if abs(value) < 10**18 else "too large"
        return super().read(value, where)

    @property
    def kind(self) -> str:
        """What it is, for messages."""
        return "a whole number or a text"


@dataclass(frozen=True)
class Moment(Text):
    """A date and time with its time zone."""

    def schema(self) -> dict[str, Any]:
        """What it may be, as JSON Schema."""
        return super().schema() | {"format": "date-time"}

    def read(self, value: Any, where: str) -> Any:
        """Read it as a text that names its zone: which one was meant would be a guess."""
        text = super().read(value, where)
        if not text:
            return text
        shown = repr(text[:40])
        try:
            moment = datetime.fromisoformat(text)
            moment.astimezone(UTC)  # one at the end of the calendar has no place there in UTC
        except (ValueError, OverflowError):
            raise fault(f"{self.name} {shown} is not a moment; write it like {MOMENT_EXAMPLE}", where) from None
        if moment.tzinfo is None:
            raise fault(
                f"{self.name} {shown} names no time zone; write it like {MOMENT_EXAMPLE} "
                "or, with an offset, 2026-10-12T16:05:00+02:00",
                where,
            )
        return text


@dataclass(frozen=True)
class Context(Text):
    """An object of what else is known: names and short texts.

    Attributes:
        most: Names.
        longest_name: In characters.
        longest: In characters, of a value.
        taken: Names that are members of the item itself.
    """

    most: int = 50
    longest_name: int = 80
    longest: int | None = 1000
    taken: frozenset[str] = frozenset()

    def schema(self) -> dict[str, Any]:
        """What it may be, as JSON Schema."""
        names: dict[str, Any] = {"minLength": 1, "maxLength": self.longest_name, "pattern": "\\S"}
        if self.taken:
            names["not"] = {"enum": sorted(self.taken)}
        return {
            "type": ["object", "null"],
            "maxProperties": self.most,
            "propertyNames": names,
            "additionalProperties": {"type": ["string", "number", "boolean", "null"], "maxLength": self.longest},
            "description": self.about,
            "examples": [self.example],
        }

    def read(self, value: Any, where: str) -> Any:
        """Read it as texts by name; names that say nothing are left out."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise fault(f"{self.name} must be an object, not {called(value)}", where)
        if len(value) > self.most:
            raise fault(f"{self.name} has {len(value):,} names; at most {self.most} are taken", where)
        found: dict[str, str] = {}
        faults: list[Fault] = []
        for given, each in value.items():
            try:
                name, text = self._pair(given, each, where + pointer(given))
            except Unlike as error:
                faults += error.faults
                continue
            if name in found:
                faults.append(Fault(f"{name} stands twice in {self.name}", where + pointer(given)))
            elif text:
                found[name] = text
        if faults:
            raise Unlike(faults)
        return found

    def _pair(self, given: str, value: Any, where: str) -> tuple[str, str]:
        name = clean_text(given).strip()
        if not name or len(given) > self.longest_name:
            raise fault(f"names in {self.name} have 1 to {self.longest_name} characters", where)
        if name in self.taken:
            raise fault(f"{name} is a member of the item itself; move it out of {self.name}", where)
        if isinstance(value, list | dict):
            raise fault(f"{name[:80]} must be a text, a number, true, false or null, not {called(value)}", where)
        if isinstance(value, bool):
            return name, "true" if value else "false"
        if value is None:
            return name, ""
        if isinstance(value, int) and abs(value) >= 10**100:
            raise fault(f"{name[:80]} is a number with too many digits; send it as a text", where)
        text = str(value)
        if self.longest is not None and len(text) > self.longest:
            raise fault(f"{name[:80]} has {len(text):,} characters; at most {self.longest:,} are taken", where)
        return name, clean_text(text).strip()


@dataclass(frozen=True)
class Count(Text):
    """A parameter of an address that is a whole number from 1 on.

    Attributes:
        most: The largest.
    """

    most: int = 100

    def schema(self) -> dict[str, Any]:
        """What it may be, as JSON Schema."""
        return {
            "type": "integer", "minimum": 1, "maximum": self.most, "default": self.example,
            "description": self.about, "examples": [self.example],
        }  # fmt: skip

    def read(self, value: Any, where: str) -> Any:
        """Read it; without one it is the example."""
        text = super().read(value, where)
        if not text:
            return self.example
        if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= self.most:
            raise fault(f"{self.name} must be a whole number from 1 to {self.most}", where)
        return int(text)


def fault(detail: str, where: str) -> Unlike:
    """One thing is wrong."""
    return Unlike([Fault(detail, where)])


def called(value: Any) -> str:
    """What a value is, for messages."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def read_item(fields: Sequence[Text], item: Any, where: str) -> dict[str, Any]:
    """Read one item.

    Args:
        fields: What it may consist of.
        item: What was sent.
        where: It stands in the body.

    Returns:
        What each field reads, by name; empty for those that were not sent.

    Raises:
        Unlike: It is not as described; says everything that is wrong.
    """
    if not isinstance(item, dict):
        raise fault(f"an item must be an object, not {called(item)}", where)
    known = [field.name for field in fields]
    instead = "send it in context" if "context" in known else f"known are {', '.join(known)}"
    faults = [
        Fault(f"{name[:80]!r} is not known here; {instead}", where + pointer(name))
        for name in item
        if name not in known
    ]
    found = {}
    for field in fields:
        if field.required and field.name not in item:
            faults.append(Fault(f"{field.name} is missing", where + pointer(field.name)))
            continue
        try:
            found[field.name] = field.read(item.get(field.name), where + pointer(field.name))
        except Unlike as error:
            faults += error.faults
    if faults:
        raise Unlike(faults)
    return found


def item_schema(fields: Sequence[Text]) -> dict[str, Any]:
    """What an item may be, as JSON Schema."""
    return {
        "type": "object",
        "properties": {field.name: field.schema() for field in fields},
        "required": [field.name for field in fields if field.required],
        "additionalProperties": False,
    }


def example(fields: Sequence[Text]) -> dict[str, Any]:
    """An item that is taken."""
    return {field.name: field.example for field in fields if field.example is not None}
