"""How much there is of everything, whatever the number of answers, and the words it is made of."""

from __future__ import annotations

import numpy as np

from feedback_loop.surveys.models import ScaleName

SECRET = "a key for measuring only"
COMPLAINTS, CUSTOMERS, PEOPLE, TEAMS = 2_000, 200_000, 40, 8
HUGE, HUGE_SHARE = 4, 0.07
EXEMPLARS = 24
YEAR = 365 * 24 * 3600
LISTED, DRAFTED = 50_000, 2_000  # people of the mailing that was sent, and of the one that is a draft
MOST_TOLD = 10_000
LONG_HISTORY = 2_000
DELIVERIES = 100_000
SURVEYS = (
    ("order", ScaleName.CSAT, 0.70, [1, 2, 3, 4, 5]),
    ("recommend", ScaleName.NPS, 0.15, list(range(11))),
    ("help", ScaleName.HELPFUL, 0.08, [0, 1]),
    ("stars", ScaleName.STARS, 0.05, [1, 2, 3, 4, 5]),
    ("words", ScaleName.TEXT, 0.02, [None]),
)
STATUSES = ("in_progress", "new", "in_progress", "triaged", "new", "closed", "verified", "reopened", "waiting")
PARTS = ("parcel", "refund", "login", "invoice", "courier", "size chart", "voucher", "search", "app", "return label")
WOES = ("came late", "never arrived", "does not work", "was wrong twice", "is hard to find", "keeps asking again")
LANGUAGES = np.array(["en"] * 7 + ["de"] * 2 + ["fr"])
