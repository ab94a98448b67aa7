"""Verbs of correcting: draft, look, apply as a whole, undo each.

Statements that a person puts somewhere say so (`placed`, `kept_out`); what holds for whole complaints is read from the
corrections themselves (`complaints.corrections.read_rules`). Refines obey both.
"""

from feedback_loop.complaints.service.corrections.applying import CORRECTING, apply, at_once, free_parts
from feedback_loop.complaints.service.corrections.drafts import (
    CannotCorrect,
    Impact,
    add,
    discard,
    impacts,
    open_draft,
    sentence,
    take_back,
)
from feedback_loop.complaints.service.corrections.undoing import undo

__all__ = [
    "CORRECTING",
    "CannotCorrect",
    "Impact",
    "add",
    "apply",
    "at_once",
    "discard",
    "free_parts",
    "impacts",
    "open_draft",
    "sentence",
    "take_back",
    "undo",
]
