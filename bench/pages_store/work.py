"""What was done about complaints, and what customers were told of it."""

from __future__ import annotations

import numpy as np

from feedback_loop import tokens
from feedback_loop.actions.models import (
    ActionEvent,
    ActionItem,
    ChecklistEntry,
    Closure,
    ItemLink,
    Notice,
    NotificationRun,
    RunPerson,
    Watcher,
)
from feedback_loop.complaints.models import Correction, Draft, Refine, Search, Spike
from feedback_loop.followups.models import FollowUp, Verdict
from feedback_loop.integrations.models import Delivery, Endpoint
from feedback_loop.notifications.models import Notification
from feedback_loop.notifications.service import PURPOSE
from pages_store.said import Said
from pages_store.sizes import COMPLAINTS, DELIVERIES, LONG_HISTORY, MOST_TOLD, PEOPLE, SECRET, STATUSES, TEAMS, YEAR
from pages_store.store import Store


def work(store: Store, said: Said) -> None:
    """Action items, their histories and closings, what customers were told and said; alerts, refines, corrections."""
    ids = np.arange(1, COMPLAINTS + 1)
    status = [STATUSES[n % len(STATUSES)] for n in ids.tolist()]
    status[:5] = ["in_progress", "closed", "in_progress", "verified", "new"]
    store.load(
        ActionItem,
        COMPLAINTS,
        id=ids,
        complaint_id=ids,
        team_id=1 + ids % TEAMS,
        status=status,
        owner_id=[None if each == "new" else 2 + n % (PEOPLE - 4) for n, each in enumerate(status)],
        routing_reason="Its name holds “parcel”.",
        due_at=store.ago((ids - COMPLAINTS // 3) % COMPLAINTS * 3600 - 3_000_000),
        priority=[("low", "normal", "high", "urgent")[n % 4] for n in ids.tolist()],
        service_level_id=1,
        priority_reason="12 people × 3.",
        reopened_count=[int(each == "reopened") for each in status],
        triaged_at=store.ago(YEAR // 4),
        waiting_for=["an offer of the carrier" if each == "waiting" else "" for each in status],
        waiting_since=np.where(np.array(status) == "waiting", store.ago(YEAR // 8), np.datetime64("NaT")),
        created_at=store.ago(YEAR // 2),
    )
    of = np.concatenate([np.repeat(ids, 6), np.repeat([3], LONG_HISTORY)])
    store.load(
        ActionEvent,
        len(of),
        action_item_id=of,
        at=store.ago(np.arange(len(of), 0, -1) * 60),
        by_id=[None if n % 5 == 0 else 1 + n % PEOPLE for n in range(len(of))],
        kind="comment",
        text="Asked the depot again; they will look at the scanner on Thursday.",
        data={},
    )
    store.load(
        ChecklistEntry,
        4_000,
        action_item_id=1 + np.arange(4_000) % 1_000,
        position=np.arange(4_000) // 1_000,
        text="Ask the depot.",
        done_at=store.ago(500),
        done_by_id=1,
    )
    store.load(
        ItemLink,
        1_000,
        action_item_id=np.arange(1, 1_001),
        kind="tracker",
        title="Issue",
        provider="github",
        url=[f"https://github.example/shop/issues/{n}" for n in range(1_000)],
        external_id=[str(n) for n in range(1_000)],
        created_by_id=1,
        created_at=store.ago(700),
    )
    store.load(
        Watcher,
        3_000,
        action_item_id=1 + np.arange(3_000) // 3,
        user_id=1 + np.arange(3_000) % 3 * 7,
        created_at=store.ago(9),
    )
    store.load(
        Notice,
        20_000,
        user_id=1 + np.arange(20_000) % PEOPLE,
        action_item_id=1 + np.arange(20_000) % COMPLAINTS,
        kind="comment",
        text="Person 4 wrote a comment.",
        at=store.ago(np.arange(20_000, 0, -1)),
        mailed_at=np.where(np.arange(20_000) > 19_000, np.datetime64("NaT"), store.ago(0)),
    )
    store.load(
        Endpoint,
        10,
        id=np.arange(1, 11),
        name=[f"Channel {n}" for n in range(10)],
        kind="slack",
        shown_url="https://hooks.slack.example/…",
        sealed_url=b"sealed",
        events=["item.opened", "item.closed"],
        created_by_id=3,
        created_at=store.ago(YEAR),
    )
    store.load(
        Delivery,
        DELIVERIES,
        endpoint_id=1 + np.arange(DELIVERIES) % 10,
        event_id=[f"history-{n}" for n in range(DELIVERIES)],
        type="item.opened",
        subject_id=1,
        at=store.ago(np.arange(DELIVERIES, 0, -1) * 60),
        state="sent",
        created_at=store.ago(np.arange(DELIVERIES, 0, -1) * 60),
        next_at=store.ago(np.arange(DELIVERIES, 0, -1) * 60),
        sent_at=store.ago(np.arange(DELIVERIES, 0, -1) * 60),
    )
    closings(
        store,
        said,
        [n for n, each in zip(ids.tolist(), status, strict=True) if each in ("closed", "verified", "reopened")],
    )
    store.load(
        Spike,
        340,
        complaint_id=np.arange(1, 341),
        state=["running" if n < 40 else "over" for n in range(340)],
        started_at=store.ago(200_000),
        last_at=store.ago(3_000),
        statements=40,
        expected=3.2,
        z=np.linspace(3, 9, 340),
        ended_at=np.where(np.arange(340) < 40, np.datetime64("NaT"), store.ago(100_000)),
        reason="40 in 24 hours; 3 are usual.",
    )
    refines = np.arange(1, 501)
    store.load(
        Refine,
        500,
        id=refines,
        state="done",
        started_at=store.ago((501 - refines) * 60_000),
        finished_at=store.ago((501 - refines) * 60_000 - 30),
        model="minilm",
        seed=1,
        statements=100_000,
        complaints=COMPLAINTS,
        new_complaints=3,
        moved=400,
        coverage=0.94,
        kept=0.97,
        seconds={"read": 1.0},
        versions={"bertopic": "0.17"},
        changes={
            "new": [5, 6, 7],
            "merged": [],
            "renamed": [[8, "Old", "New"]],
            "moved": [[9, 10, 200], [11, 12, 200]],
        },
    )
    store.load(
        Draft,
        301,
        id=np.arange(1, 302),
        by_id=1,
        state=["applied"] * 300 + ["open"],
        why="They say the same.",
        created_at=store.ago(9_000),
        applied_at=np.append(np.repeat(store.ago(8_000), 300), np.datetime64("NaT")),
    )
    store.load(
        Correction,
        305,
        draft_id=np.minimum(np.arange(1, 306), 301),
        kind=["rename"] * 302 + ["merge", "move", "dismiss"],
        complaint_id=[n % 300 + 20 for n in range(302)] + [1900, 1, 1902],
        other_id=[None] * 302 + [1901, 2, None],
        name=["Another name"] * 302 + [""] * 3,
        before={"name": "Before"},
        statement_ids=[[]] * 303 + [(np.flatnonzero(said.complaint == 1)[:20] + 1).tolist(), []],
    )
    found = (np.flatnonzero(said.complaint > 0)[:100] + 1).tolist()
    store.load(
        Search,
        60,
        by_id=1,
        text="the courier never rang",
        state="done",
        made_at=store.ago(600),
        done_at=store.ago(590),
        found=[[[n, 0.8, 1, 2] for n in found] for _ in range(60)],
    )


def closings(store: Store, said: Said, closed: list[int]) -> None:
    """Closings of some items, what was mailed about them, and what came back."""
    number = np.arange(1, len(closed) + 1)
    store.load(
        Closure,
        len(closed),
        id=number,
        action_item_id=closed,
        number=1,
        outcome=["fixed" if n % 4 else "declined" for n in closed],
        done="Rain sleeves for every van.",
        root_cause="No step for the weather.",
        closed_by_id=1 + number % PEOPLE,
        statement="Our drivers carry rain sleeves since the first of the month.",
        closed_at=store.ago((len(closed) - number) * 9_000),
        effective_from=store.ago(9_000),
        segment="all",
    )
    people = said.people()
    none = np.array([], dtype=np.int64)
    told = [people.get(each, none)[:MOST_TOLD] for each in closed]
    who = np.concatenate(told)
    of = np.repeat(number, [len(each) for each in told])
    keys = [f"bench{n}" for n in range(len(who))]
    state = np.array(["sent"] * 18 + ["skipped", "failed"])[np.arange(len(who)) % 20]
    store.load(
        Notification,
        len(who),
        id=np.arange(1, len(who) + 1),
        kind="closure",
        event=[f"closure:{n}" for n in of.tolist()],
        recipient=[f"customer:{n}" for n in who.tolist()],
        address=[f"c{n}@example.com" for n in who.tolist()],
        rank=0,
        data={
            "quote": "It came late.",
            "said_at": "2026-10-01T00:00:00+00:00",
            "statement": "Done.",
            "outcome": "fixed",
            "language": "en",
        },
        message_id=[f"<{key}@shop.example>" for key in keys],
        token_hash=[tokens.hashed(tokens.derive(SECRET, PURPOSE, key) if n < 5 else key) for n, key in enumerate(keys)],
        state=state,
        reason=np.where(state == "sent", "", "Asked for no mail."),
        created_at=store.ago(9_000),
        next_at=store.ago(9_000),
        passed_at=store.ago(8_000),
        sent_at=np.where(state == "sent", store.ago(8_000), np.datetime64("NaT")),
    )
    store.load(
        NotificationRun,
        len(closed),
        id=number,
        closure_id=number,
        state="done",
        prepared_by_id=1,
        prepared_at=store.ago(9_000),
        released_by_id=1,
        released_at=store.ago(8_500),
        starts_at=store.ago(8_000),
    )
    store.load(
        RunPerson,
        len(who),
        run_id=of,
        customer_id=who,
        is_told=state == "sent",
        reason=np.where(state == "sent", "", "unsubscribed"),
    )
    said_so = np.flatnonzero((np.arange(len(who)) % 5 == 0) & (state == "sent"))
    store.load(
        FollowUp,
        len(said_so),
        closure_id=of[said_so],
        customer_id=who[said_so],
        notification_id=said_so + 1,
        fixed=np.array(["yes", "yes", "yes", "no"])[np.arange(len(said_so)) % 4],
        comment="It came dry this time.",
        answered_at=store.ago(4_000),
    )
    store.load(
        Verdict,
        len(number[::2]),
        closure_id=number[::2],
        kind="verified",
        reason="Nine of ten say so.",
        asked=200,
        yes=30,
        no=3,
        decided_at=store.ago(1_000),
    )
