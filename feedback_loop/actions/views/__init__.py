"""Lists of action items, what can be done with one, who is told, and routing rules.

The page of one item stands in `reports`: it shows what customers said of its closings, which a later step knows.
"""

import feedback_loop.actions.details.views  # noqa: F401  # their routes
from feedback_loop.actions.blueprint import bp
from feedback_loop.actions.views import (  # noqa: F401  # their routes
    closing,
    items,
    levels,
    routing,
    runs,
    templates,
    triage,
)

__all__ = ["bp"]
