"""What the API takes and shows of customers, invitations and answers: one definition for checks and description."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from feedback_loop.responses.importing import (
    COLUMNS,
    CONTEXT_LENGTH,
    CONTEXT_NAME_LENGTH,
    EMAIL_LENGTH,
    ID_LENGTH,
    NAME_LENGTH,
)
from feedback_loop.responses.ingest import Outcome, Status
from feedback_loop.settings import Settings
from feedback_loop.surveys.scales import SCALES
from feedback_loop.web.fields import Context, Count, Moment, Score, Text
from feedback_loop.web.openapi import Operation, Shown
from feedback_loop.web.problems import Fault

MOST_ANSWERS = 500
SLUG_LENGTH = 80

SURVEY = Text("survey", "The survey, by the name at the end of its address.", "help-centre", True, SLUG_LENGTH)
CUSTOMER = Text("customer_email", "The customer's mail address.", "maya@example.com", longest=EMAIL_LENGTH)
KNOWN_CUSTOMER = Text(CUSTOMER.name, CUSTOMER.about, CUSTOMER.example, True, EMAIL_LENGTH)
NAME = Text("customer_name", "The customer's name, as they want to be addressed.", "Maya Lind", longest=NAME_LENGTH)


def context(example: dict[str, Any], *taken: str) -> Context:
    """The object of whatever else is known."""
    return Context(
        "context",
        "Where it came from: page, order, ticket, agent. `page` and `tags` (with commas between several) are used in "
        "trends.",
        example,
        longest=CONTEXT_LENGTH,
        longest_name=CONTEXT_NAME_LENGTH,
        taken=frozenset(taken),
    )


def customer_fields(_settings: Settings) -> Sequence[Text]:
    """Of a customer that is sent."""
    return (KNOWN_CUSTOMER, NAME)


def invitation_fields(_settings: Settings) -> Sequence[Text]:
    """Of an invitation that is sent."""
    return (
        SURVEY,
        KNOWN_CUSTOMER,
        NAME,
        Text(
            "experience",
            "What the customer is asked about, by your own id: an order, a visit, a ticket. A customer is invited "
            "once about each; a second time is rejected.",
            "order 10234",
            longest=ID_LENGTH,
        ),
        Moment("expires_at", "Until when the link takes an answer; left out, until the survey closes.", None),
        context({"agent": "Nia", "tags": "returns"}, *COLUMNS, "experience"),
    )


def answer_fields(settings: Settings) -> Sequence[Text]:
    """Of an answer that is sent: the columns of imports."""
    return (
        SURVEY,
        Text(
            "external_id",
            "Its id in your system. Sent again in the same survey, it replaces what was sent before; without one, each "
            "item is a new answer.",
            "ticket-4711",
            longest=ID_LENGTH,
        ),
        CUSTOMER,
        NAME,
        Score("score", f"As the survey's scale writes it: {scores()}.", "no", longest=20),
        Text(
            "comment",
            "What the customer wrote, unredacted; it is encrypted at once and personal details are blanked out.",
            "The steps do not match my screen.",
            longest=settings.comment_limit,
        ),
        Moment(
            "answered_at",
            "When it was answered. Left out it is now, or stays as it was.",
            "2026-10-01T08:00:00+02:00",
        ),
        context({"page": "/help/returns"}, *COLUMNS),
    )


def scores() -> str:
    """The scores of all scales, in words."""
    return "; ".join(f"{scale.name.value}: {scale.range}" for scale in SCALES.values())


@dataclass(frozen=True)
class Result:
    """What became of one item of a batch."""

    index: int
    outcome: Outcome
    faults: Sequence[Fault] = ()


RESULT = (
    Shown(
        "index", {"type": "integer", "description": "Place of the item in what was sent, from 0."}, lambda r: r.index
    ),
    Shown("status", {"type": "string", "enum": [each.value for each in Status]}, lambda r: r.outcome.status.value),
    Shown("id", {"type": "integer", "description": "Our id; none of a rejected item."}, lambda r: r.outcome.id),
    Shown(
        "errors",
        {
            "type": "array",
            "items": {"$ref": "#/components/schemas/Fault"},
            "description": "Why it was rejected.",
        },
        lambda r: [asdict(fault) for fault in r.faults] or None,
    ),
)
LINK = Shown(
    "link",
    {"type": "string", "format": "uri", "description": "The customer's own link. It is shown here only."},
    lambda r: r.outcome.link,
)
COUNTS = Shown(
    "counts",
    {
        "type": "object",
        "properties": {each.value: {"type": "integer"} for each in Status},
        "description": "Items by status.",
    },
    lambda counts: counts,
)

CUSTOMERS = Operation(
    "Make customers, or name them anew",
    "A customer is known by mail address. An empty name changes nothing.",
    RESULT,
    customer_fields,
    also=(COUNTS,),
)
INVITATIONS = Operation(
    "Invite customers to a survey",
    "Each item makes an invitation and gives back its link, for you to send. Nothing is mailed. Send an "
    "Idempotency-Key: without one, the same request sent again makes other links.",
    (*RESULT, LINK),
    invitation_fields,
    also=(COUNTS,),
)
ANSWERS = Operation(
    "Record answers given elsewhere",
    "They count at once. Customers who are named are told when what they complained about is mended.",
    RESULT,
    answer_fields,
    also=(COUNTS,),
)

SURVEYS = Operation(
    "List the surveys",
    "All of them, by name.",
    (
        Shown("slug", {"type": "string", "description": "The name at the end of its address."}, lambda s: s.slug),
        Shown("name", {"type": "string"}, lambda s: s.name),
        Shown("question", {"type": "string"}, lambda s: s.question),
        Shown("scale", {"type": "string", "enum": [each.value for each in SCALES]}, lambda s: s.scale.value),
        Shown(
            "scores",
            {"type": "array", "items": {"type": "string"}, "description": "What a score may be, lowest first."},
            lambda s: [choice.written for choice in SCALES[s.scale].choices],
        ),
        Shown("state", {"type": "string", "enum": ["open", "closed"]}, lambda s: s.state.value),
        Shown("created_at", {"type": "string", "format": "date-time"}, lambda s: s.created_at.isoformat()),
    ),
)
READ_ANSWERS = Operation(
    "Read answers",
    "The oldest first, as many as `limit`; `next_cursor` leads to the next. Comments are redacted: what customers "
    "typed is never shown, nor are their addresses. Answers may arrive late and be changed, so to keep a copy read "
    "again from some days back; `id` and `revision` say what is new.",
    (
        Shown("id", {"type": "integer"}, lambda a: a.id),
        Shown("revision", {"type": "integer", "description": "Grows when it is changed."}, lambda a: a.revision),
        Shown("survey", {"type": "string"}, lambda a: a.survey.slug),
        Shown("external_id", {"type": ["string", "null"]}, lambda a: a.external_id),
        Shown(
            "score",
            {"type": ["string", "null"], "description": "As the scale writes it."},
            lambda a: SCALES[a.survey.scale].write(a.score) or None,
        ),
        Shown(
            "comment",
            {
                "type": ["string", "null"],
                "description": "Redacted; null until personal details are blanked out, some seconds later.",
            },
            lambda a: a.comment if a.redacted_at else None,
        ),
        Shown("answered_at", {"type": "string", "format": "date-time"}, lambda a: a.answered_at.isoformat()),
        Shown("received_at", {"type": "string", "format": "date-time"}, lambda a: a.received_at.isoformat()),
        Shown("context", {"type": "object"}, lambda a: a.context),
    ),
    asked=(
        Text("survey", "Only of this survey.", "help-centre", longest=SLUG_LENGTH),
        Moment("since", "Only those answered at this moment or later.", "2026-10-01T00:00:00Z"),
        Text("cursor", "Where the page before ended.", None, longest=200),
        Count("limit", "At most so many.", 100, most=MOST_ANSWERS),
    ),
    also=(
        Shown(
            "next_cursor",
            {"type": ["string", "null"], "description": "Of the next page; null on the last."},
            lambda cursor: cursor,
        ),
    ),
)
