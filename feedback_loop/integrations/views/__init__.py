"""Settings of webhooks and trackers, and issues asked for from an action item."""

from feedback_loop.integrations.views import issues, trackers, webhooks  # noqa: F401  # their routes
from feedback_loop.integrations.views.blueprint import bp

__all__ = ["bp"]
