"""Mailings, and whom they went to."""

from __future__ import annotations

import numpy as np

from feedback_loop import tokens
from feedback_loop.notifications.models import Notification
from feedback_loop.responses.mailings.models import Mailing, Recipient, Reject
from feedback_loop.responses.models import Invitation
from pages_store.said import absent
from pages_store.sizes import CUSTOMERS, DRAFTED, LISTED, YEAR
from pages_store.store import Store


def mail(store: Store) -> None:
    """Mailings: one that was sent to a long list, one that is a draft, some small ones."""
    ids = np.arange(1, 31)
    store.load(
        Mailing,
        30,
        id=ids,
        survey_id=1,
        name=[f"Mailing {n}" for n in ids],
        why="you bought something",
        state=["draft" if n == 2 else "done" for n in ids],
        made_by_id=3,
        made_at=store.ago(YEAR // 2),
        started_at=np.where(ids == 2, np.datetime64("NaT"), store.ago(YEAR // 3)),
        ended_at=np.where(ids == 2, np.datetime64("NaT"), store.ago(YEAR // 4)),
    )
    of = np.concatenate([np.repeat(1, LISTED), np.repeat(2, DRAFTED), np.repeat(np.arange(3, 31), 100)])
    asked = of != 2
    made = int(asked.sum())
    first = 10_000_000
    invitation = np.where(asked, first + np.cumsum(asked), 0)
    customer = 1 + np.arange(len(of)) % CUSTOMERS
    experience = [f"order-{n}" for n in range(len(of))]
    store.load(
        Invitation,
        made,
        id=invitation[asked],
        survey_id=1,
        customer_id=customer[asked],
        context={},
        language="",
        token_hash=[tokens.hashed(f"mailed-{n}") for n in range(made)],
        created_at=store.ago(YEAR // 3),
        experience=[each for each, was in zip(experience, asked.tolist(), strict=True) if was],
    )
    store.load(
        Recipient,
        len(of),
        mailing_id=of,
        line=np.arange(len(of)),
        email=[f"c{n}@example.com" for n in customer.tolist()],
        name="",
        time_zone="Europe/Berlin",
        has_own_zone=False,
        experience=experience,
        context={},
        state=np.where(asked, "asked", "waiting"),
        invitation_id=absent(invitation, ~asked),
    )
    store.load(
        Notification,
        made,
        id=first + np.arange(made),
        kind="invitation",
        event=[f"mailing:{n}" for n in of[asked].tolist()],
        recipient=[f"invitation:{n}" for n in invitation[asked].tolist()],
        data={},
        rank=1,
        address=[f"c{n}@example.com" for n in customer[asked].tolist()],
        message_id=[f"<mailed{n}@shop.example>" for n in range(made)],
        token_hash=[tokens.hashed(f"mailed{n}") for n in range(made)],
        state="sent",
        created_at=store.ago(YEAR // 3),
        next_at=store.ago(YEAR // 3),
        sent_at=store.ago(YEAR // 3),
    )
    store.load(
        Reject,
        200,
        mailing_id=1,
        line=np.arange(200),
        cause="No address.",
        reason="The line has no address.",
        cells=["", "Maya"],
    )
