"""Fills a database for `pages.py`: as many answers as asked for, and beside them the same company in every size.

2,000 complaints with an action item each, 200,000 customers, people, teams, rules, histories, closings with what was
mailed and answered, alerts, refines, corrections, mailings. Complaint 1 to 4 get 7 % of the statements each, the others
as in a law of Zipf; the answers spread over a year, most of them to one survey. The rows are written past the product,
so the store stands within a minute or two; counts are then made by the product itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import JSON, Connection, insert, text

from feedback_loop import tokens
from feedback_loop.accounts.models import ApiKey, RawRightChange, Team, User
from feedback_loop.actions.closing.models import StatementTemplate
from feedback_loop.actions.models import (
    ActionEvent,
    ActionItem,
    ChecklistEntry,
    Closure,
    ItemLink,
    Notice,
    NotificationRun,
    RunPerson,
    ServiceLevel,
    Watcher,
)
from feedback_loop.actions.routing.models import RoutingRule
from feedback_loop.analysis.embedding.embedder import unit
from feedback_loop.complaints.models import Complaint, Correction, Draft, Refine, Search, Spike, Statement, Vector
from feedback_loop.complaints.service.counts import count_again
from feedback_loop.complaints.service.weeks import count_weeks
from feedback_loop.complaints.vectors import pack
from feedback_loop.db import Base, UtcDateTime, make_engine, make_sessions, migrate
from feedback_loop.followups.models import FollowUp, Verdict
from feedback_loop.integrations.models import Delivery, Endpoint
from feedback_loop.notifications.models import Notification, Suppression
from feedback_loop.notifications.service import PURPOSE
from feedback_loop.responses.counting import count_days
from feedback_loop.responses.mailings.models import Mailing, Recipient, Reject
from feedback_loop.responses.models import (
    Answer,
    AnswerVersion,
    Customer,
    Invitation,
    RawComment,
    RawReading,
    UnconfirmedAnswer,
)
from feedback_loop.responses.raw import seal
from feedback_loop.surveys.models import ScaleName
from feedback_loop.surveys.service import add_survey, archive

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


@dataclass
class Store:
    """What is being filled."""

    connection: Connection
    count: int
    now: datetime
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))

    def ago(self, seconds: Any) -> NDArray[Any]:
        """Moments so many seconds ago; of one number, or of many."""
        back = np.asarray(seconds, dtype=np.int64).astype("timedelta64[s]")
        return np.asarray(np.datetime64(self.now.replace(tzinfo=None), "s") - back)

    def load(self, table_of: type[Base], count: int, /, **columns: Any) -> None:
        """Insert rows of plain values, written past the ORM; what is not named gets the default of its column.

        Args:
            table_of: Whose table.
            count: Of the rows.
            columns: Each one value for all rows, or a list or array of `count`.
        """
        table: Any = table_of.__table__
        is_sqlite = self.connection.dialect.name == "sqlite"
        for column in table.columns:
            if column.name not in columns and column.default is not None:
                default = getattr(column.default, "arg", None)
                columns[column.name] = default(None) if callable(default) else getattr(default, "value", default)
        names = list(columns)
        filled = [self.written(table.columns[name].type, columns[name], count, is_sqlite) for name in names]
        rows: Iterator[tuple[Any, ...]] = zip(*filled, strict=True)
        if not count:
            return
        quoted = ", ".join(f'"{name}"' for name in names)
        raw = self.connection.connection.driver_connection
        assert raw is not None
        if is_sqlite:
            marks = ", ".join("?" * len(names))
            raw.executemany(f'INSERT INTO "{table.name}" ({quoted}) VALUES ({marks})', rows)
            return
        with raw.cursor() as cursor, cursor.copy(f'COPY "{table.name}" ({quoted}) FROM STDIN') as copy:
            for row in rows:
                copy.write_row(row)

    def written(self, type_: Any, values: Any, count: int, is_sqlite: bool) -> Any:
        """A column as the driver takes it."""
        is_many = isinstance(values, list | np.ndarray) and not (isinstance(type_, JSON) and len(values) != count)
        if isinstance(values, np.ndarray) and values.dtype.kind == "M":
            if values.ndim == 0:
                values, is_many = values[None], False
            mark = "T" if not is_sqlite else " "
            end = "" if is_sqlite else "+00"
            moments = [
                None if each == "NaT" else each.replace("T", mark) + end for each in np.datetime_as_string(values, "us")
            ]
            return moments if is_many else repeat(moments[0], count)
        if isinstance(type_, JSON):
            return [json.dumps(each) for each in values] if is_many else repeat(json.dumps(values), count)
        if isinstance(type_, UtcDateTime) and isinstance(values, datetime):
            return self.written(type_, np.array(self.ago(0)), count, is_sqlite)
        if isinstance(values, np.ndarray):
            values = values.tolist()
        return values if is_many else repeat(values, count)

    def numbered(self) -> None:
        """Let PostgreSQL go on counting ids where these rows end, and look at what there is; its worker does that by
        itself. SQLite does the former by itself, and the product never asks it for the latter."""
        if self.connection.dialect.name != "postgresql":
            return
        for table in Base.metadata.sorted_tables:
            if "id" in table.columns and table.columns["id"].autoincrement is not False:
                sequence = f"pg_get_serial_sequence('{table.name}', 'id')"
                self.connection.execute(
                    text(
                        f"SELECT setval({sequence}, (SELECT max(id) FROM {table.name}))"
                        f" WHERE EXISTS (SELECT 1 FROM {table.name} WHERE id > 0) AND {sequence} IS NOT NULL"
                    )
                )


def build(url: str, count: int, now: datetime) -> None:
    """Fill an empty database with `count` answers and what goes with them."""
    engine = make_engine(url)
    migrate(engine)
    with make_sessions(engine).begin() as session:
        for name, scale, _, _ in SURVEYS:
            add_survey(session, slug=name, name=name.title(), question="", scale=scale, now=now - timedelta(days=400))
        add_survey(
            session, slug="nameless", name="Nameless", question="", scale=ScaleName.CSAT, now=now, is_anonymous=True
        )
        limited = add_survey(session, slug="limited", name="Limited", question="", scale=ScaleName.CSAT, now=now)
        limited.answer_limit = 5_000
        for number in range(30):
            idle = add_survey(
                session, slug=f"idle-{number}", name=f"Idle {number}", question="", scale=ScaleName.CES, now=now
            )
            if number % 2:
                archive(session, idle, now)
    with engine.connect() as connection:
        # Written faster and less safely: a store that breaks off is thrown away.
        raw: Any = connection.connection.driver_connection
        if engine.dialect.name == "sqlite":
            for pragma in ("synchronous=OFF", "cache_size=-400000", "foreign_keys=OFF"):
                raw.execute(f"PRAGMA {pragma}")
        with connection.begin():
            if (
                engine.dialect.name == "postgresql"
                and connection.scalar(text("SELECT current_setting('is_superuser')")) == "on"
            ):
                connection.execute(text("SET LOCAL session_replication_role = replica"))  # checks no foreign keys
            indexes = [index for table in Base.metadata.sorted_tables for index in table.indexes]
            for index in indexes:
                index.drop(connection)
            store = Store(connection, count, now)
            company(store)
            said = speak(store)
            work(store, said)
            mail(store)
            store.numbered()
            for index in indexes:
                index.create(connection)
    engine.dispose()
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
    with make_sessions(engine).begin() as session:
        count_again(session, range(1, COMPLAINTS + 1))
        count_weeks(session, now)
    count_days(make_sessions(engine), now)
    engine.dispose()


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


@dataclass
class Said:
    """Who said what, a line each: of which complaint, by which customer (0 for nobody we know), in which answer."""

    complaint: NDArray[np.int64]
    customer: NDArray[np.int64]
    answer: NDArray[np.int64]

    def people(self) -> dict[int, NDArray[np.int64]]:
        """The customers of each complaint, each once."""
        order = np.argsort(self.complaint, kind="stable")
        homes, starts = np.unique(self.complaint[order], return_index=True)
        found = np.split(self.customer[order], starts[1:])
        return {int(home): np.unique(who[who > 0]) for home, who in zip(homes, found, strict=True) if home}


def speak(store: Store) -> Said:
    """Answers, invitations and statements."""
    random, count = store.random, store.count
    ids = np.arange(1, count + 1)
    ago = np.sort(random.integers(0, YEAR, count))[::-1]
    at = store.ago(ago)
    survey = random.choice(len(SURVEYS), count, p=[share for _, _, share, _ in SURVEYS]) + 1
    scores = np.zeros(count, dtype=object)
    for number, (_, _, _, possible) in enumerate(SURVEYS, 1):
        here = survey == number
        scores[here] = random.choice(np.array(possible, dtype=object), here.sum())
    customer = np.where(random.random(count) < 0.7, random.integers(1, CUSTOMERS + 1, count), 0)
    invited = (customer > 0) & (random.random(count) < 0.5)
    invitation = np.where(invited, np.cumsum(invited), 0)
    has_words = random.random(count) < 0.8
    weights = np.concatenate([[HUGE_SHARE] * HUGE, 1 / (np.arange(COMPLAINTS - HUGE) + 6)])
    weights[HUGE:] *= (1 - HUGE * HUGE_SHARE) / weights[HUGE:].sum()
    # Every complaint is said now and then; what is left of the answers falls where it falls.
    home = random.choice(COMPLAINTS, count, p=weights) + 1
    home[: min(count, 2 * COMPLAINTS)] = np.arange(min(count, 2 * COMPLAINTS)) % COMPLAINTS + 1
    random.shuffle(home)
    what = random.choice(3, count, p=[0.9, 0.06, 0.04])  # in a complaint, in the pool, praise
    kinds = np.where(what == 2, "praise", "problem")
    home = np.where(has_words & (what == 0), home, 0)
    languages = LANGUAGES[random.integers(0, 10, count)]
    pages = random.zipf(1.5, count) % 300
    tags = [[], ["Delivery"], ["Price"], ["Delivery", "App"], ["Returns"]]
    tagged = random.integers(0, 5, count)
    contexts = [
        {"page": f"/help/{page}", "tags": tags[tag]} for page, tag in zip(pages.tolist(), tagged.tolist(), strict=True)
    ]
    made = int(invited.sum())
    store.load(
        Invitation,
        made,
        id=np.arange(1, made + 1),
        survey_id=survey[invited],
        customer_id=customer[invited],
        token_hash=[tokens.hashed(f"invitation-{n}") for n in range(1, made + 1)],
        language="",
        context={},
        created_at=at[invited],
    )
    words, vector = texts(store, home, what, has_words)
    nobody = customer == 0
    store.load(
        Answer,
        count,
        id=ids,
        survey_id=survey,
        customer_id=absent(customer, nobody),
        invitation_id=absent(invitation, ~invited),
        sign="sent",
        score=scores.tolist(),
        comment=words,
        redactions=[["email"] if n % 50 == 0 else [] for n in range(count)],
        context=contexts,
        answered_at=at,
        received_at=at,
        redacted_at=at,
        analysed_at=at,
        survey_version=1,
        revision=np.where(ids % 100 == 0, 2, 1),
    )
    nameless = max(10, count // 1000)
    store.load(
        Answer,
        nameless,
        id=-np.arange(1, nameless + 1),
        survey_id=len(SURVEYS) + 1,
        sign="sent",
        score=2,
        comment="Cold.",
        receipt_hash=[tokens.hashed(f"receipt-{n}") for n in range(1, nameless + 1)],
        context={},
        answered_at=store.ago(86_400),
        received_at=store.ago(86_400),
        redacted_at=store.ago(0),
        analysed_at=store.ago(0),
    )
    revised = ids[ids % 100 == 0]
    store.load(
        AnswerVersion,
        len(revised),
        answer_id=revised,
        revision=1,
        score=None,
        comment="Less than that.",
        sign="sent",
        answered_at=at[revised - 1],
        replaced_at=at[revised - 1],
    )
    late = ids[-count // 20 :]
    kept = {
        "sealed": seal("It came late; write to me at maya@example.com.", SECRET, store.now),
        "expires_at": store.now + timedelta(days=20),
    }
    store.connection.execute(insert(RawComment), [{"answer_id": id} | kept for id in late.tolist()])
    store.load(RawReading, 1_000, answer_id=late[:1].repeat(1_000), by_id=3, at=store.ago(100), why="To call them.")
    waiting = min(count // 100, 5_000)
    store.load(
        UnconfirmedAnswer,
        waiting,
        survey_id=1,
        sign="opened",
        context={},
        reason="Its link was opened by a program.",
        state=["suspect" if n % 2 else "provisional" for n in range(waiting)],
        score=3,
        seen_at=store.ago(50_000),
        expires_at=store.ago(-9_000_000),
    )
    return statements(store, ids, survey, customer, kinds, home, languages, at, words, vector, has_words)


def absent(values: NDArray[np.int64], where: NDArray[np.bool_]) -> list[int | None]:
    """Numbers, with None in some places."""
    found = values.astype(object)
    found[where] = None
    return found.tolist()  # type: ignore[no-any-return]


def texts(
    store: Store, home: NDArray[np.int64], what: NDArray[np.int64], has_words: NDArray[np.bool_]
) -> tuple[list[str], NDArray[np.int64]]:
    """What each answer says, and the vector of that: one of ten texts of a complaint is new, the others repeat."""
    sizes = np.bincount(home, minlength=COMPLAINTS + 1)
    sizes[0] = ((home == 0) & (what == 1) & has_words).sum() * 10  # those of the pool say each their own
    kinds = np.maximum(1, sizes // 10)
    starts = np.concatenate([[0], np.cumsum(kinds)])[:-1]
    total = int(kinds.sum())
    vector = 1 + starts[home] + (kinds[home] * store.random.random(len(home)) ** 2).astype(np.int64)
    made = unit(store.random.normal(size=(min(total, 2_000), 384)).astype(np.float32))
    packed = [pack(each) for each in made]
    ids = np.arange(1, total + 1)
    store.load(
        Vector,
        total,
        id=ids,
        text_hash=[f"{n:064d}" for n in ids.tolist()],
        model="minilm",
        data=[packed[n % len(packed)] for n in range(total)],
    )
    said = [
        f"The {PARTS[n % 10]} {WOES[n % 6]} and nobody at the counter could tell me why; please look at case {n}."
        for n in range(total + 1)
    ]
    return [said[n] if has else "" for n, has in zip(vector.tolist(), has_words.tolist(), strict=True)], vector


def statements(
    store: Store,
    ids: NDArray[np.int64],
    survey: NDArray[np.int64],
    customer: NDArray[np.int64],
    kinds: NDArray[Any],
    home: NDArray[np.int64],
    languages: NDArray[Any],
    at: NDArray[Any],
    words: list[str],
    vector: NDArray[np.int64],
    has_words: NDArray[np.bool_],
) -> Said:
    """Complaints, and what was said: whole comments, and for one of twenty a part that belongs elsewhere."""
    has_part = has_words & (home > 0) & (ids % 20 == 0)
    rows = np.sort(np.concatenate([np.flatnonzero(has_words), np.flatnonzero(has_part)]))
    is_part = np.concatenate([[False], rows[1:] == rows[:-1]])
    homes = np.where(is_part, home[rows] % COMPLAINTS + 1, home[rows])
    store.load(
        Complaint,
        COMPLAINTS,
        id=np.arange(1, COMPLAINTS + 1),
        name=[f"{PARTS[n % 10].capitalize()} {WOES[n % 6]} ({n})" for n in range(1, COMPLAINTS + 1)],
        keywords=["parcel", "late", "nobody"],
        created_at=store.ago(YEAR),
        kept=True,
        cohesion=store.random.random(COMPLAINTS),
        stability=0.95,
        neighbours=[[[(n + k) % COMPLAINTS + 1, 0.7 - k / 50] for k in range(1, 6)] for n in range(COMPLAINTS)],
        map_x=store.random.random(COMPLAINTS),
        map_y=store.random.random(COMPLAINTS),
    )
    order = np.argsort(homes, kind="stable")
    _, first, sizes = np.unique(homes[order], return_index=True, return_counts=True)
    place = np.empty(len(rows), dtype=np.int64)
    place[order] = np.arange(len(rows)) - np.repeat(first, sizes)
    nowhere = homes == 0
    placed = np.where(store.random.random(len(rows)) < 0.5, "refine", "nearest").astype(object)
    placed[nowhere] = None
    confidence = np.round(store.random.random(len(rows)), 4).astype(object)
    confidence[nowhere] = None
    number = np.arange(1, len(rows) + 1)
    answer = ids[rows]
    store.load(
        Statement,
        len(rows),
        id=number,
        answer_id=answer,
        customer_id=absent(customer[rows], customer[rows] == 0),
        survey_id=survey[rows],
        position=is_part.astype(int),
        role=np.where(is_part, "part", "main"),
        kind=kinds[rows],
        text=[words[row] for row in rows.tolist()],
        language=languages[rows],
        said_at=at[rows],
        vector_id=absent(vector[rows], kinds[rows] == "praise"),
        complaint_id=absent(homes, nowhere),
        placed=placed.tolist(),
        confidence=confidence.tolist(),
        reason="Near three statements that say the same.",
        nearest=[[n, n - 1] if n > 1 else [] for n in number.tolist()],
        is_exemplar=((place < EXEMPLARS) & ~nowhere).tolist(),
    )
    return Said(homes, customer[rows], answer)


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
