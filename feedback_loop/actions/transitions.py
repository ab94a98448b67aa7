"""What may be done with an action item, as a pure table."""

from __future__ import annotations

from feedback_loop.actions.models import Status

FROM: dict[str, frozenset[Status]] = {
    "triage": frozenset({Status.NEW, Status.REOPENED}),
    "take_on": frozenset({Status.NEW, Status.TRIAGED, Status.WAITING, Status.REOPENED}),
    "wait": frozenset({Status.TRIAGED, Status.IN_PROGRESS, Status.REOPENED}),
    "go_on": frozenset({Status.WAITING}),
    "close": frozenset({Status.NEW, Status.TRIAGED, Status.IN_PROGRESS, Status.WAITING, Status.REOPENED}),
    "verify": frozenset({Status.CLOSED}),
    "reopen": frozenset({Status.CLOSED, Status.VERIFIED}),
}
WORDS = {
    Status.NEW: "new",
    Status.TRIAGED: "triaged",
    Status.IN_PROGRESS: "in progress",
    Status.WAITING: "waiting",
    Status.CLOSED: "closed, waiting for the verdict",
    Status.VERIFIED: "verified",
    Status.REOPENED: "reopened",
}
VERBS = {
    "triage": "triaged",
    "take_on": "taken on",
    "wait": "made to wait",
    "go_on": "gone on with",
    "close": "closed",
    "verify": "verified",
    "reopen": "reopened",
}


def may(status: Status, verb: str) -> str:
    """Why a verb is not possible now.

    Args:
        status: Where the item stands.
        verb: `triage`, `take_on`, `wait`, `go_on`, `close`, `verify` or `reopen`.

    Returns:
        A sentence for people, or "" when it is possible.
    """
    if status in FROM[verb]:
        return ""
    return f"This action item is {WORDS[status]}, so it cannot be {VERBS[verb]}."
