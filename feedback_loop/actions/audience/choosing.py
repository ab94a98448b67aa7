"""Who is told of a closing, and why others are not: a pure decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Reason(StrEnum):
    """Why somebody whom a closing concerns is not told."""

    UNSUBSCRIBED = "unsubscribed"
    SEGMENT = "outside_segment"
    TOLD = "told_already"
    BOUNCED = "bounced"
    BUDGET = "budget"
    ERASED = "erased"
    DROPPED = "dropped"
    MOVED = "moved"


# These hold whatever anybody says.
FINAL = (Reason.UNSUBSCRIBED, Reason.ERASED)
# These may have passed when somebody looks again.
PASSING = (Reason.TOLD, Reason.BOUNCED, Reason.BUDGET, Reason.MOVED)
REASONS = {
    Reason.UNSUBSCRIBED: "asked for no more mail",
    Reason.SEGMENT: "the change does not hold for what they told of",
    Reason.TOLD: "told already, of the same problem",
    Reason.BOUNCED: "the last mail to them came back",
    Reason.BUDGET: "had as many mails as the contact budget allows",
    Reason.ERASED: "had their words erased",
    Reason.DROPPED: "taken out by one of you",
    Reason.MOVED: "what they said belongs to another complaint by now",
}


@dataclass(frozen=True)
class Said:
    """One thing that a customer said about a problem."""

    statement_id: int
    at: datetime
    position: int = 0
    is_inside: bool = True


@dataclass(frozen=True)
class Telling:
    """An earlier closing that told somebody, and still holds."""

    statement_id: int | None
    at: datetime
    is_of_group: bool


@dataclass(frozen=True)
class Known:
    """What is known of a customer whom a closing concerns."""

    said: Sequence[Said]
    told: Sequence[Telling] = ()
    unsubscribed: bool = False
    bounced: bool = False
    over_budget: bool = False


@dataclass(frozen=True)
class Choice:
    """Whether a customer is told, and whose words are quoted.

    Attributes:
        statement_id: The newest of what they said, inside the segment where they said anything there.
        reason: Why they are not told; None if they are.
    """

    statement_id: int
    reason: Reason | None


def choose(person: Known) -> Choice:
    """Decide whether somebody is told.

    Who asked for no mail is not. Then come reasons that lie in what they said, then those that lie in their mail.
    """
    newest = max(person.said, key=lambda each: (each.is_inside, each.at, -each.position, -each.statement_id))
    was_told = any(
        (each.is_of_group or each.statement_id == newest.statement_id) and each.at >= newest.at for each in person.told
    )
    reasons = (
        (Reason.UNSUBSCRIBED, person.unsubscribed),
        (Reason.SEGMENT, not newest.is_inside),
        (Reason.TOLD, was_told),
        (Reason.BOUNCED, person.bounced),
        (Reason.BUDGET, person.over_budget),
    )
    return Choice(newest.statement_id, next((reason for reason, holds in reasons if holds), None))
