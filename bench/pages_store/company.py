"""People, teams, keys, rules, customers."""

from __future__ import annotations

import numpy as np

from feedback_loop import tokens
from feedback_loop.accounts.models import ApiKey, RawRightChange, Team, User
from feedback_loop.actions.closing.models import StatementTemplate
from feedback_loop.actions.models import ServiceLevel
from feedback_loop.actions.routing.models import RoutingRule
from feedback_loop.notifications.models import Suppression
from feedback_loop.responses.models import Customer
from pages_store.sizes import CUSTOMERS, LANGUAGES, PARTS, PEOPLE, TEAMS, YEAR
from pages_store.store import Store


def company(store: Store) -> None:
    """People, teams, keys, rules, customers."""
    ids = np.arange(1, PEOPLE + 1)
    store.load(
        Team,
        TEAMS,
        id=np.arange(1, TEAMS + 1),
        name=[f"Team {n}" for n in range(TEAMS)],
        is_default=[n == 0 for n in range(TEAMS)],
        created_at=store.ago(YEAR),
    )
    roles = ["lead", "owner", "admin", "viewer"]
    store.load(
        User,
        PEOPLE,
        id=ids,
        email=[f"u{n}@shop.example" for n in ids],
        name=[f"Person {n}" for n in ids],
        role=[roles[n] if n < 4 else "owner" for n in range(PEOPLE)],
        team_id=1 + ids % TEAMS,
        password_hash="none",
        session_epoch=0,  # as the sessions of `bench/pages.py` have it
        reads_raw=[n == 3 for n in ids],
        digest="daily",
        created_at=store.ago(YEAR),
    )
    store.load(RawRightChange, 1, user_id=3, by_id=3, given=True, at=store.ago(5))
    store.load(
        ApiKey,
        2,
        id=[1, 2],
        name=["Reads", "Old"],
        prefix="fl",
        key_hash=[tokens.hashed("reads"), tokens.hashed("old")],
        scopes=[["read"], ["read"]],
        created_by_id=3,
        created_at=store.ago(YEAR),
        last_used_at=store.ago(0),
    )
    store.load(
        ServiceLevel,
        2,
        id=[1, 2],
        name=["Usual", "Fast"],
        is_default=[True, False],
        hours={"low": 160, "normal": 80, "high": 40, "urgent": 8},
        days=[0, 1, 2, 3, 4],
        opens=540,
        closes=1080,
        time_zone="Europe/Berlin",
        remind_hours=8,
        lead_hours=8,
        admin_hours=40,
        created_at=store.ago(YEAR),
    )
    store.load(
        RoutingRule,
        50,
        id=np.arange(1, 51),
        position=np.arange(50),
        keyword=[f"{PARTS[n % 10]} {n}" for n in range(50)],
        team_id=1 + np.arange(50) % TEAMS,
    )
    store.load(
        StatementTemplate,
        24,
        team_id=1 + np.arange(24) % TEAMS,
        outcome="fixed",
        name=[f"Template {n}" for n in range(24)],
        text="We have changed it. Thank you for telling us.",
    )
    ids = np.arange(1, CUSTOMERS + 1)
    store.load(
        Customer,
        CUSTOMERS,
        id=ids,
        email=[f"c{n}@example.com" for n in ids.tolist()],
        name=[f"Customer {n}" for n in ids.tolist()],
        language=LANGUAGES[ids % 10],
        created_at=store.ago(YEAR),
    )
    store.load(
        Suppression,
        CUSTOMERS // 100,
        address=[f"c{n}@example.com" for n in range(1, CUSTOMERS, 100)],
        reason="Unsubscribed by the link in a mail.",
        created_at=store.ago(9_000),
    )
