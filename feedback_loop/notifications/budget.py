"""How many mails one person gets: one budget over all surveys and kinds. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Rank(IntEnum):
    """Which mail goes first, and which gives way: the lower number comes before the higher."""

    STAFF = -1  # to colleagues: few, some of them urgent. Never dropped, counts nowhere
    OWED = 0  # answers something the person said: a closing with its question. Never dropped, and counts
    REMINDER = 1
    INVITATION = 2
    TEST = 3  # to ourselves: never dropped, counts nowhere


BUDGETED = (Rank.REMINDER, Rank.INVITATION)
UNCOUNTED = (Rank.STAFF, Rank.TEST)


@dataclass(frozen=True)
class Budget:
    """At most `limit` mails to one address in `days` days; a limit of 0 is none."""

    limit: int
    days: int


@dataclass(frozen=True)
class Contacts:
    """The mails one address had or is about to get, tests and the one in question left out.

    Attributes:
        sent: Sent within the days of the budget.
        ahead: Not sent yet, and sure to go first: let through before, or of a lower rank.
    """

    sent: int
    ahead: int = 0


def refusal(rank: Rank, contacts: Contacts, budget: Budget) -> str:
    """Why a mail is not to be sent, in words for people; empty if it may go out."""
    if rank not in BUDGETED or not budget.limit or contacts.sent + contacts.ahead < budget.limit:
        return ""
    mails = f"{contacts.sent} {'mail' if contacts.sent == 1 else 'mails'} in the last {budget.days} days"
    if not contacts.sent:
        mails = f"{contacts.ahead} {'mail is' if contacts.ahead == 1 else 'mails are'} about to be sent"
    elif contacts.ahead:
        mails += f" and {contacts.ahead} about to be sent"
    return f"Asked not again: {mails}."
