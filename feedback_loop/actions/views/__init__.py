"""Lists of action items, what can be done with one, who is told, and routing rules.

The page of one item stands in `reports`: it shows what customers said of its closings, which a later step knows.
"""

import feedback_loop.actions.closing.views  # its routes
import feedback_loop.actions.details.views  # its routes
import feedback_loop.actions.levels.views  # its routes
import feedback_loop.actions.routing.views  # its routes
import feedback_loop.actions.runs.views  # its routes
import feedback_loop.actions.triage.views  # noqa: F401  # its routes
from feedback_loop.actions.blueprint import bp
from feedback_loop.actions.views import (  # noqa: F401  # their routes
    items,
)

__all__ = ["bp"]
