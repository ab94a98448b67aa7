"""Everything that other systems can hear of, by name. `docs/webhooks.md` lists the same (a test compares the two)."""

from __future__ import annotations

from feedback_loop.actions.triage.service import DECISIONS

TEST = "webhook.test"

# type: what happened
EVENTS = {
    "answer.received": "An answer came in. With the redacted comment; never with the original.",
    "complaint.created": "A refine found a new complaint.",
    "spike.started": "A complaint is said far more often than usual.",
    "item.opened": "An action item was opened for a complaint and routed to a team.",
    "item.triaged": "A person decided about a new action item: gave it to somebody, snoozed, merged or dismissed it.",
    "item.assigned": "An action item got another team or owner.",
    "item.taken_on": "Somebody began work on an action item.",
    "item.waiting": "An action item waits for something.",
    "item.closed": "An action item was closed; with the statement to customers.",
    "item.reopened": "A closed action item is open again.",
    "item.verified": "Customers confirmed the fix of an action item.",
    "run.released": "A notification run was released: its mails go out when the hold is over.",
    "run.sent": "All mails of a notification run are out.",
    "follow_up.answered": "A customer said whether it is fixed. With the redacted comment.",
    "verdict.drawn": "The verdict over a closing was drawn, or changed.",
}

# Entries of an item's history that are events; all others stay among colleagues.
HISTORY = {
    kind: f"item.{kind}" for kind in ("opened", "assigned", "taken_on", "waiting", "closed", "reopened", "verified")
} | dict.fromkeys(DECISIONS, "item.triaged")
