"""Lists of action items, what can be done with one, who is told, and routing rules.

The page of one item stands in `reports`: it shows what customers said of its closings, which a later step knows.
"""

from feedback_loop.actions.views import (  # noqa: F401  # their routes
    closing,
    details,
    items,
    levels,
    routing,
    runs,
    templates,
    triage,
)
from feedback_loop.actions.views.blueprint import bp

__all__ = ["bp"]
