"""Pages about statements and complaints alone.

Pages of complaints stand in `reports`: they show what is being done, which a later step knows.
"""

from feedback_loop.complaints.views import pool, search, trends
from feedback_loop.complaints.views.blueprint import bp

__all__ = ["bp", "pool", "search", "trends"]
