"""What the processes write down about themselves: one event a line, as JSON for programs or as text for a terminal.

No line holds personal data. Whoever writes one leaves them out; what looks like an address or a token is hidden here as
a last net, and so is what messages of errors quote, because databases and parsers quote what people typed.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TextIO, cast

import structlog
from sqlalchemy.exc import DBAPIError, StatementError
from structlog.contextvars import bind_contextvars, bound_contextvars
from structlog.typing import Processor

from feedback_loop.settings import Settings

ADDRESS = re.compile(r"[^\s@<>\"'“”(),;:=\[\]{}|/]+(?:@|%40)[\w.-]+", re.IGNORECASE)
# Tokens have 32 characters of URL-safe base64 with small and capital letters; words and names of functions have not.
TOKEN = re.compile(r"(?=[\w-]*[a-z])(?=[\w-]*[A-Z])(?<![\w-])[\w-]{28,}={0,2}(?![\w-])", re.ASCII)
# PostgreSQL names the key that was there already, and shows the row that breaks a rule.
DETAIL = re.compile(r"(?:DETAIL|CONTEXT|QUERY|STATEMENT):.*?(?=\n\[SQL|\n\(Background|\nHINT:|\n\n|\Z)", re.DOTALL)
QUOTED = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|“[^”\n]*”")
CALLER = re.compile(r"(ip=|request (?!from ))\S+")
# What these say repeats a value that was worked on. What others say names parts of the program.
QUOTING = (ValueError, LookupError, DBAPIError, StatementError)
HIDDEN = "[hidden]"
DEFAULT = ("console", "info")
KEPT = frozenset({"request_id", "time", "level", "logger", "route", "method"})  # ours, and of a form of their own
CLAIMS_NAMED = 10
Event = MutableMapping[str, Any]


def masked(text: str) -> str:
    """A text without what looks like an address, a token, or a row of PostgreSQL."""
    return TOKEN.sub(HIDDEN, ADDRESS.sub(HIDDEN, DETAIL.sub(HIDDEN, text)))


def message_of(error: BaseException) -> str:
    """What an error says, without the values that it quotes."""
    # Of a database the first line: what follows shows rows.
    said = str(error.orig).strip().partition("\n")[0] if isinstance(error, DBAPIError) else str(error)
    text = masked(said)
    return QUOTED.sub("'…'", text) if isinstance(error, QUOTING) else text


def named(error: BaseException) -> str:
    """The class of an error and what it says, on one line; for logs and for pages of operators."""
    kind = type(error.orig) if isinstance(error, DBAPIError) and error.orig is not None else type(error)
    return f"{kind.__name__}: {' '.join(message_of(error).split())}".rstrip(": ")


def trace_of(error: BaseException) -> str:
    """Where an error arose and what led to it. Lines of the program, never values."""
    lines: list[str] = []
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        frames = "".join(traceback.format_list(traceback.extract_tb(each.__traceback__)))
        lines.insert(0, f"{frames}{type(each).__module__}.{type(each).__qualname__}: {message_of(each)}")
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
    return "\n\nand then\n\n".join(lines)


def explain(_logger: Any, _name: str, event: Event) -> Event:
    """Write the error that an event carries as text."""
    carried = event.pop("exc_info", None)
    if carried is True:
        carried = sys.exc_info()
    error = carried[1] if isinstance(carried, tuple) else carried
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        event["exception"] = trace_of(error)
    return event


def mask(_logger: Any, _name: str, event: Event) -> Event:
    """Hide what looks personal in everything that an event says."""
    for key, value in event.items():
        if isinstance(value, (str, Mapping, list, tuple)) and key not in KEPT and not key.startswith("_"):
            event[key] = without(value)
    if str(event.get("logger", "")).startswith("gunicorn"):
        # It names who called, and which address, and quotes the lines of requests that it cannot read.
        event["event"] = QUOTED.sub("'…'", CALLER.sub(rf"\1{HIDDEN}", str(event["event"])))
    return event


def without(value: Any) -> Any:
    """The same value with all its texts masked."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, Mapping):
        return {key: without(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [without(each) for each in value]
    return value


def is_json(chosen: str, stream: TextIO) -> bool:
    """Whether lines are JSON: as chosen, or where no person sits at the other end."""
    return chosen == "json" or (chosen == "auto" and not stream.isatty())


BEFORE: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    explain,
    mask,
)


class Formatter(logging.Formatter):
    """Lets processors of structlog write each record. Unlike its own ProcessorFormatter it makes no copy of the record
    first, which took a third of the time of a line: there is one handler, and no processor changes a record.

    Args:
        processors: Each is given what the one before made of the event; the last returns the line.
    """

    def __init__(self, processors: Sequence[Processor]) -> None:
        super().__init__()
        self.processors = processors

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        event: Any = {"event": record.getMessage(), "_record": record}
        if record.exc_info:
            event["exc_info"] = record.exc_info
        *before, last = self.processors
        for each in before:
            event = each(None, record.levelname.lower(), event)
        del event["_record"]
        return cast(str, last(None, record.levelname.lower(), event))


class Lines(logging.StreamHandler[TextIO]):
    """Writes the log, and knows in which format and from which level on."""

    written_as = DEFAULT


def written_as() -> tuple[str, str]:
    """Format and least level of this process; processes that it starts write alike."""
    return next((each.written_as for each in logging.getLogger().handlers if isinstance(each, Lines)), DEFAULT)


def configure(settings: Settings | None = None, stream: TextIO | None = None) -> logging.Handler:
    """Let this process write its log.

    Args:
        settings: Say the format and the least level; without them text from "info" on.
        stream: Where to; standard error by default.

    Returns:
        The one handler there is.
    """
    return write_as(*((settings.log_format, settings.log_level) if settings else DEFAULT), stream)


def write_as(chosen: str, level: str, stream: TextIO | None = None) -> logging.Handler:
    """The same, by format and least level; see `written_as`."""
    stream = stream or sys.stderr
    last: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False, default=lambda value: type(value).__name__)
        if is_json(chosen, stream)
        else structlog.dev.ConsoleRenderer(colors=stream.isatty(), timestamp_key="time", pad_event_to=0)
    )
    handler = Lines(stream)
    handler.written_as = chosen, level
    handler.setFormatter(Formatter([*BEFORE, last]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, least in (("alembic", logging.WARNING), ("apscheduler", logging.ERROR)):
        logging.getLogger(name).setLevel(least)
    logging.captureWarnings(True)
    # No line says which thread, process and line of the program wrote it, so nobody need find out.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # as the documentation of logging has it, Optimization
    logging.raiseExceptions = False  # else an event that cannot be written is printed with all its values
    sys.excepthook = died
    threading.excepthook = lambda given: died(given.exc_type, given.exc_value, given.exc_traceback)
    return handler


def died(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """Write down what ended the process or a thread of it, as everything else."""
    if error is None or issubclass(kind, (KeyboardInterrupt, SystemExit)):
        sys.__excepthook__(kind, error or kind(), trace)
        return
    logging.getLogger("feedback_loop").critical("Nobody expected this error.", exc_info=(kind, error, trace))


@contextmanager
def about(**names: Any) -> Iterator[None]:
    """Everything written meanwhile in this thread carries these, such as the step that runs."""
    with bound_contextvars(**names):
        yield


def note_claims(table: str, ids: Sequence[int]) -> None:
    """What is written from now on in this thread says which rows it had claimed last."""
    more = f" and {len(ids) - CLAIMS_NAMED} more" if len(ids) > CLAIMS_NAMED else ""
    bind_contextvars(claimed=f"{table} {', '.join(map(str, ids[:CLAIMS_NAMED]))}{more}")
