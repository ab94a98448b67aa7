"""Random histories of streams, corrections and refines, and what must hold in each of them.

The property test drives these with hypothesis, the benchmark with a thousand seeds.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop import pipeline
from feedback_loop.accounts.models import User
from feedback_loop.complaints.corrections import Wanted, end_of, merged_into, pair
from feedback_loop.complaints.models import (
    Complaint,
    ComplaintState,
    Correction,
    CorrectionKind,
    Draft,
    DraftState,
    Placed,
    Statement,
    StatementKind,
    StatementRole,
)
from feedback_loop.complaints.service import corrections
from feedback_loop.complaints.service.counts import count_again
from feedback_loop.db import reading
from feedback_loop.pipeline import Context
from feedback_loop.responses.service import find_customer, record_answer
from feedback_loop.surveys.models import Survey

TOPICS = (
    "rucksack zip broke teeth slider stuck",
    "refund waiting weeks money account bank",
    "parcel late courier tracking doorstep neighbour",
    "login password reset mail code locked",
    "invoice wrong address vat company total",
    "boots sole loose glue heel rain",
    "chat agent rude waited queue music",
)
STEPS = (
    "hear",
    "refine",
    "rename",
    "merge",
    "split",
    "found",
    "move",
    "take out",
    "pin",
    "apart",
    "dismiss",
    "undo",
    "take on",
)
Step = tuple[str, int, int, int]
"""What to do and three numbers that choose among what there is."""


class Violated(AssertionError):
    """Something that must hold did not."""


@dataclass
class History:
    """One history on a database that is empty but for a survey and a person."""

    context: Context
    survey: Survey
    by: User
    now: datetime
    expected: dict[int, list[tuple[int, int | None]]] = field(default_factory=dict)  # by statement: correction, place
    highest: int = 0
    made: Counter[str] = field(default_factory=Counter)

    def clock(self) -> datetime:
        """The moment of the step that is being done."""
        return self.now

    def run(self, steps: Sequence[Step]) -> None:
        """Do the steps, and check after each.

        Raises:
            Violated: Something did not hold; the message says what.
        """
        for step in steps:
            self.now += timedelta(minutes=1)
            self.do(*step)
            self.check(step)

    def do(self, name: str, one: int, two: int, three: int) -> None:
        if name == "hear":
            self.hear(random.Random(one))
        elif name == "refine":
            before = self.places()
            pipeline.refine_now(self.context, seed=one % 7)
            self.check_refine(before)
            self.made["refine"] += 1
        elif name == "undo":
            self.undo(one)
        elif name == "take on":
            self.take_on(one)
        else:
            self.correct(name, one, two, three)

    def hear(self, chance: random.Random) -> None:
        with self.context.sessions.begin() as session:
            for _ in range(chance.randint(4, 12)):
                words = chance.choice(TOPICS).split()
                text = " ".join(chance.sample(words, 4))
                if chance.random() < 0.15:
                    text += ". And also my " + " ".join(chance.sample(chance.choice(TOPICS).split(), 5))
                who = chance.randint(0, 9)
                customer = find_customer(session, f"c{who}@example.com", "", self.now) if who < 8 else None
                record_answer(
                    session, self.survey, score=0, comment=text, customer=customer, invitation=None, context={},
                    external_id=None, answered_at=self.now, now=self.now, settings=self.context.settings,
                )  # fmt: skip
        pipeline.understand(self.context)

    def correct(self, name: str, one: int, two: int, three: int) -> None:
        kinds = {"take out": CorrectionKind.MOVE, "found": CorrectionKind.SPLIT}
        kind = kinds.get(name) or CorrectionKind(name)
        with self.context.sessions.begin() as session:
            complaints = session.scalars(select(Complaint.id).order_by(Complaint.id)).all()
            if not complaints:
                return
            own, other = complaints[one % len(complaints)], complaints[two % len(complaints)]
            problems = select(Statement.id).where(Statement.kind == StatementKind.PROBLEM).order_by(Statement.id)
            of_own = session.scalars(problems.where(Statement.complaint_id == own)).all()
            everywhere = session.scalars(problems).all()
            picks = of_own if kind == CorrectionKind.SPLIT or three % 2 else everywhere
            if name == "found":
                pool = (Statement.complaint_id.is_(None), Statement.role == StatementRole.MAIN)
                picks = session.scalars(problems.where(*pool)).all()
            picked = tuple({picks[(two + index * 7) % len(picks)] for index in range(1 + three % 3)}) if picks else ()
            of_statements = kind in (CorrectionKind.SPLIT, CorrectionKind.MOVE, CorrectionKind.PIN)
            to_other = kind in (CorrectionKind.MERGE, CorrectionKind.APART, CorrectionKind.MOVE) and name != "take out"
            named = kind in (CorrectionKind.RENAME, CorrectionKind.SPLIT)
            wanted = Wanted(
                kind,
                None if kind in (CorrectionKind.MOVE, CorrectionKind.PIN) or name == "found" else own,
                other if to_other else None,
                f"Name {one} {two} {three}" if named else "",
                picked if of_statements else (),
            )
            by = session.get_one(User, self.by.id)
            try:
                correction = corrections.add(session, wanted, by, self.now)
            except corrections.CannotCorrect:
                if (draft := corrections.open_draft(session, by)) is not None:
                    corrections.discard(session, draft)
                return
            corrections.apply(session, correction.draft, "because", self.now)
            self.made[name] += 1
            self.expect(session, correction)

    def expect(self, session: Session, correction: Correction) -> None:
        """Remember where a correction put statements."""
        from feedback_loop.complaints.models import CorrectedStatement

        rows = session.scalars(
            select(CorrectedStatement.statement_id).where(CorrectedStatement.correction_id == correction.id)
        ).all()
        for id in rows:
            said = session.get_one(Statement, id)
            if said.placed != Placed.PERSON and not said.kept_out:
                continue  # a part that came to the complaint of its whole
            place = said.complaint_id
            self.expected.setdefault(id, []).append((correction.id, place))

    def undo(self, one: int) -> None:
        with self.context.sessions.begin() as session:
            holding = session.scalars(
                select(Correction)
                .join(Draft, Draft.id == Correction.draft_id)
                .where(Draft.state == DraftState.APPLIED, Correction.undone_at.is_(None))
                .order_by(Correction.id)
            ).all()
            if not holding:
                return
            correction = holding[one % len(holding)]
            try:
                corrections.undo(session, correction, session.get_one(User, self.by.id), "", self.now)
            except corrections.CannotCorrect:
                return
            self.made["undo"] += 1
            for stack in self.expected.values():
                stack[:] = [each for each in stack if each[0] != correction.id]

    def take_on(self, one: int) -> None:
        with self.context.sessions.begin() as session:
            active = session.scalars(
                select(Complaint).where(Complaint.state == ComplaintState.ACTIVE, Complaint.statement_count > 0)
            ).all()
            if active:
                active[one % len(active)].kept = True

    def places(self) -> dict[int, int]:
        """Complaint of each statement, 0 for none."""
        with reading(self.context.sessions) as session:
            return {
                row.id: row.complaint_id or 0 for row in session.execute(select(Statement.id, Statement.complaint_id))
            }

    def check_refine(self, before: dict[int, int]) -> None:
        """What no refine may do."""
        after = self.places()
        with reading(self.context.sessions) as session:
            into = merged_into(session)
            held, apart, kept = set(), set(), set()
            for each in session.scalars(
                select(Correction)
                .join(Draft, Draft.id == Correction.draft_id)
                .where(Draft.state == DraftState.APPLIED, Correction.undone_at.is_(None))
            ):
                own, other = end_of(each.complaint_id or 0, into), end_of(each.other_id or 0, into)
                if each.kind == CorrectionKind.APART and own != other:
                    apart.add(pair(own, other))
                if each.kind in (CorrectionKind.MERGE, CorrectionKind.SPLIT):
                    held.add(other)
                if each.kind == CorrectionKind.DISMISS:
                    held.add(own)
            kept = set(session.scalars(select(Complaint.id).where(Complaint.kept)))
            states = dict(session.execute(select(Complaint.id, Complaint.state)).all())
        new = {id for id in states if id > max([0, *before.values(), self.highest])}
        origins: dict[int, set[int]] = {}
        for id, was in before.items():
            now = after[id]
            if was in held and now in new:
                raise Violated(f"statement {id} left C-{was} for the new C-{now}")
            if was and now != was and pair(was, now) in apart:
                raise Violated(f"statement {id} moved from C-{was} to C-{now}, which are kept apart")
            if now in new:
                origins.setdefault(now, set()).add(was)
        for now, sources in origins.items():
            if any(one in sources and two in sources for one, two in apart):
                raise Violated(f"C-{now} was made of two complaints that are kept apart")
        for id in kept:
            if states[id] == ComplaintState.MERGED and id in set(before.values()):
                raise Violated(f"C-{id} vanished although somebody answers for it")

    def check(self, step: Step) -> None:
        """What holds at any time."""
        with self.context.sessions.begin() as session:
            into = merged_into(session)
            rows = {row.id: row for row in session.scalars(select(Complaint))}
            for id, stack in self.expected.items():
                said = session.get(Statement, id)
                if said is None or not stack:
                    continue
                wanted = end_of(stack[-1][1], into) if stack[-1][1] is not None else None
                if said.complaint_id != wanted and not self.is_with_its_whole(session, said, wanted):
                    raise Violated(
                        f"after {step}: statement {id} is in {said.complaint_id}, a person put it in {wanted}"
                    )
            for said in session.scalars(select(Statement)):
                if said.complaint_id in into:
                    raise Violated(f"after {step}: statement {said.id} is in C-{said.complaint_id}, which was merged")
            latest: dict[int, str] = {}
            for each in session.scalars(
                select(Correction)
                .join(Draft, Draft.id == Correction.draft_id)
                .where(Draft.state == DraftState.APPLIED, Correction.undone_at.is_(None))
                .order_by(Draft.applied_at, Correction.id)
            ):
                own = rows[each.complaint_id] if each.complaint_id else None
                if each.kind == CorrectionKind.RENAME and own is not None:
                    latest[own.id] = each.name
                if each.kind == CorrectionKind.SPLIT and each.other_id is not None:
                    latest[each.other_id] = each.name
                if each.kind == CorrectionKind.DISMISS and own is not None and own.state != ComplaintState.DISMISSED:
                    raise Violated(f"after {step}: {own.number} was dismissed and is {own.state}")
                if each.kind == CorrectionKind.MERGE and own is not None and own.state != ComplaintState.MERGED:
                    raise Violated(f"after {step}: {own.number} was merged and is {own.state}")
            for id, name in latest.items():
                if rows[id].name != name:
                    raise Violated(f"after {step}: C-{id} is called {rows[id].name}, a person called it {name}")
            if self.highest > max([0, *rows]):
                raise Violated(f"after {step}: a complaint's number is gone")
            self.highest = max([self.highest, *rows])
            if set(rows) != set(range(1, self.highest + 1)) & set(rows):
                raise Violated(f"after {step}: numbers are not what they were")
            self.check_counts(session, rows, step)

    @staticmethod
    def is_with_its_whole(session: Session, said: Statement, wanted: int | None) -> bool:
        """Whether a part is where a person put it by way of its whole comment, which has come to the same complaint."""
        whole = select(Statement.complaint_id).where(Statement.answer_id == said.answer_id, Statement.position == 0)
        return said.role == StatementRole.PART and said.complaint_id is None and session.scalar(whole) == wanted

    @staticmethod
    def check_counts(session: Session, rows: dict[int, Complaint], step: Step) -> None:
        """The counts kept are those that counting from nothing finds."""

        def counts() -> dict[int, tuple[object, ...]]:
            columns = (Complaint.statement_count, Complaint.people_count, Complaint.anonymous_count)
            said = (Complaint.first_said_at, Complaint.last_said_at)
            return {row[0]: tuple(row[1:]) for row in session.execute(select(Complaint.id, *columns, *said))}

        kept = counts()
        count_again(session, rows)
        session.flush()
        if kept != counts():
            wrong = [id for id, each in counts().items() if kept[id] != each]
            raise Violated(f"after {step}: wrong counts: {[(id, kept[id], counts()[id]) for id in wrong]}")


def random_steps(seed: int, length: int = 12) -> list[Step]:
    """A history to run: first some answers and a refine, then anything."""
    chance = random.Random(seed)
    weights = [4, 3, *([1] * (len(STEPS) - 3)), 1]
    names = ["hear", "hear", "hear", "refine", *chance.choices(STEPS, weights, k=length), "refine"]
    return [(name, chance.randrange(1000), chance.randrange(1000), chance.randrange(1000)) for name in names]
