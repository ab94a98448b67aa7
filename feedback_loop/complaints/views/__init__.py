"""Pages about statements and complaints alone.

Pages of complaints stand in `reports`: they show what is being done, which a later step knows.
"""

from feedback_loop.complaints.views import corrections, pool, search, trends, understanding
from feedback_loop.complaints.views.blueprint import bp

__all__ = ["bp", "corrections", "pool", "search", "trends", "understanding"]
