"""When people are asked whether it helped. Pure; the mail that tells them of a closing says when."""

from __future__ import annotations

from datetime import datetime, timedelta

# What is left in a message about words that their author has erased. Nobody is asked about them.
ERASED = {"quote": "", "is_erased": "yes"}


def asks_at(
    effective_at: datetime, told_at: datetime, after: timedelta, chosen: datetime | None = None
) -> datetime | None:
    """When a person is asked whether it is fixed.

    Args:
        effective_at: From when on the fix can be noticed.
        told_at: When the person is told of it.
        after: How long they then have to notice.
        chosen: When the owner wants them asked, instead of so long after.

    Returns:
        The moment; None where the mail that tells them asks at once, for it works already and nobody has to wait.
    """
    moment = chosen or max(effective_at, told_at) + after
    return moment if moment > told_at else None


def asking(moment: datetime | None) -> dict[str, str]:
    """What the data of a message says of it; nothing where the message asks itself."""
    return {"asks_at": moment.isoformat()} if moment else {}
