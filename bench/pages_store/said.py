"""Answers, and what was said in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import insert

from feedback_loop import tokens
from feedback_loop.analysis.embedding.embedder import unit
from feedback_loop.complaints.models import Complaint, Statement, Vector
from feedback_loop.complaints.vectors import pack
from feedback_loop.responses.models import Answer, AnswerVersion, Invitation, RawComment, RawReading, UnconfirmedAnswer
from feedback_loop.responses.raw import seal
from pages_store.sizes import (
    COMPLAINTS,
    CUSTOMERS,
    EXEMPLARS,
    HUGE,
    HUGE_SHARE,
    LANGUAGES,
    PARTS,
    SECRET,
    SURVEYS,
    WOES,
    YEAR,
)
from pages_store.store import Store


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
