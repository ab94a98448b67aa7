"""Verbs on messages, for whoever uses them: owe them, write them, send them, stop them."""

from feedback_loop.notifications.composing import PURPOSE, compose, is_test, is_to_staff, token_of
from feedback_loop.notifications.delivering import Delivery, drain_outbox
from feedback_loop.notifications.owing import Owed, cancel, cancel_to, kept, owe
from feedback_loop.notifications.suppressing import suppress

__all__ = [
    "PURPOSE",
    "Delivery",
    "Owed",
    "cancel",
    "cancel_to",
    "compose",
    "drain_outbox",
    "is_test",
    "is_to_staff",
    "kept",
    "owe",
    "suppress",
    "token_of",
]
