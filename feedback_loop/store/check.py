"""One line of what the doctor says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta

from feedback_loop.settings import SettingError


@dataclass(frozen=True)
class Check:
    """What one look has found.

    Attributes:
        name: What was looked at.
        state: `ok`, `warn` (look at it) or `bad` (it does not work, or data are in danger).
        said: What was found.
        todo: What to do about it; empty where it is well.
    """

    name: str
    state: str
    said: str
    todo: str = ""

    def as_dict(self) -> dict[str, str]:
        """For programs."""
        return asdict(self)


def ok(name: str, said: str) -> Check:
    """It is well."""
    return Check(name, "ok", said)


def warn(name: str, said: str, todo: str) -> Check:
    """Somebody should look at it."""
    return Check(name, "warn", said, todo)


def bad(name: str, said: str, todo: str) -> Check:
    """It does not work, or data are in danger."""
    return Check(name, "bad", said, todo)


def looked(name: str, look: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """What a look finds; that it failed, where it does."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield from look()
    except (SQLAlchemyError, SettingError, OSError, RuntimeError, ValueError) as error:
        said = str(getattr(error, "orig", None) or error)[:300]
        yield bad(name, f"could not be looked at: {said}", "Mend what the message names, then run the doctor again.")


def ago(span: timedelta) -> str:
    """How long, roughly."""
    seconds = max(0, int(span.total_seconds()))
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"
