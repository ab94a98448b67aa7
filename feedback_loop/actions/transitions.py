"""What may be done with an action item, as a pure table."""

from __future__ import annotations

from feedback_loop.actions.models import Status

FROM: dict[str, frozenset[Status]] = {
    "take_on": frozenset({Status.NEW, Status.REOPENED}),
    "close": frozenset({Status.NEW, Status.IN_PROGRESS, Status.REOPENED}),
    "verify": frozenset({Status.CLOSED}),
    "reopen": frozenset({Status.CLOSED, Status.VERIFIED}),
}
WORDS = {
    Status.NEW: "new",
    Status.IN_PROGRESS: "in progress",
    Status.CLOSED: "closed, waiting for the verdict",
    Status.VERIFIED: "verified",
    Status.REOPENED: "reopened",
}
VERBS = {"take_on": "taken on", "close": "closed", "verify": "verified", "reopen": "reopened"}


def may(status: Status, verb: str) -> str:
    """Why a verb is not possible now.

    Args:
        status: Where the item stands.
        verb: `take_on`, `close`, `verify` or `reopen`.

    Returns:
        A sentence for people, or "" when it is possible.
    """
    if status in FROM[verb]:
        return ""
    return f"This action item is {WORDS[status]}, so it cannot be {VERBS[verb]}."
