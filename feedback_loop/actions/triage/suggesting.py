"""Which team a new item should go to, from what people decided about complaints like it. It suggests, and no rule
changes by it: a rule is made by a person, from here or not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import Team, User
from feedback_loop.actions.models import ActionEvent, ActionItem
from feedback_loop.actions.routing.evidence import centres
from feedback_loop.analysis.embedding.thresholds import Thresholds
from feedback_loop.complaints.models import Complaint, ComplaintState, Statement, Vector

DECISIONS = ("assigned", "triaged")  # kinds of entries of the history by which people say whose an item is
UNDONE = "undone"  # the kind of those by which one is taken back; their data name it
LATEST = 400  # decisions that are looked at: bounds the time, and organisations change
SPEAKING = 5  # statements of each complaint whose mean stands for it here
NEAREST = 5  # decisions that are asked
LEAST_SHARE = 0.6  # of them, weighted by likeness, that a team needs; else they contradict each other
RULE_FROM = 3  # the same decision so often makes a rule worth while
SHOWN = 3


@dataclass(frozen=True)
class Decision:
    """What a person decided about an item whose complaint is like the one that is looked at.

    Attributes:
        complaint_id: Its complaint.
        team_id: Whose it is now.
        by: Who decided it.
        likeness: Cosine of the two complaints, to 1.
    """

    complaint_id: int
    team_id: int
    team: str
    by: str
    likeness: float

    @property
    def number(self) -> str:
        """The public id of the complaint."""
        return f"C-{self.complaint_id}"


@dataclass(frozen=True)
class Suggestion:
    """A team, and why.

    Attributes:
        share: Of the nearest decisions, weighted by likeness, that say so; 0 to 1.
        decisions: Those that say so, the nearest first.
        reason: In a sentence.
        rule_from: Numbers of complaints, such as C-12, from which a rule could be made, since people have decided so
            three times or more and no rule does it; else empty.
    """

    team_id: int
    team: str
    share: float
    decisions: Sequence[Decision]
    reason: str
    rule_from: Sequence[str]


def suggest(session: Session, item: ActionItem, thresholds: Thresholds | None = None) -> Suggestion | None:
    """The team to which people gave what is like this; two reads.

    Args:
        session: A session that reads.
        item: A new one, as a rule.
        thresholds: Of the embedding model, `embedding.thresholds_of(settings.embedding_model)`; those of the default
            model when left out.

    Returns:
        None where nothing is like it, or what is like it went to different teams.
    """
    like = (thresholds or Thresholds()).like
    latest = latest_decisions(session, item.id)
    if not latest:
        return None
    middles = centres(speaking(session, {item.complaint_id, *latest}))
    own = middles.pop(item.complaint_id, {})
    near = sorted(
        (
            (cosine, id)
            for id, others in middles.items()
            if (
                cosine := max((float(own[model] @ other) for model, other in others.items() if model in own), default=0)
            )
            >= like
        ),
        reverse=True,
    )
    decisions = [Decision(id, *latest[id], cosine) for cosine, id in near]
    return decide(decisions, item.team_id)


def decide(near: Sequence[Decision], team_id: int) -> Suggestion | None:
    """Draw a suggestion from the decisions that are near enough. Pure.

    Args:
        near: The nearest first.
        team_id: Who has the item now.
    """
    asked = near[:NEAREST]
    weights: dict[int, float] = defaultdict(float)
    for each in asked:
        weights[each.team_id] += each.likeness
    if not weights:
        return None
    best, weight = max(weights.items(), key=lambda pair: (pair[1], -pair[0]))
    share = weight / sum(weights.values())
    if share < LEAST_SHARE:
        return None
    agreeing = [each for each in near if each.team_id == best]
    enough = len(agreeing) >= RULE_FROM and best != team_id
    return Suggestion(
        best,
        agreeing[0].team,
        share,
        agreeing[:NEAREST],
        reason_of([each for each in asked if each.team_id == best], len(asked)),
        [each.number for each in agreeing[:10]] if enough else [],
    )


def reason_of(agreeing: Sequence[Decision], asked: int) -> str:
    """`Like C-12 and C-40, which Lena gave to Payments.`"""
    shown = agreeing[:SHOWN]
    people = list(dict.fromkeys(each.by for each in shown))
    given = f"Like {listed([each.number for each in shown])}, which {listed(people)} gave to {agreeing[0].team}"
    return f"{given}." if len(agreeing) == asked else f"{given} ({len(agreeing)} of the {asked} nearest)."


def listed(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def latest_decisions(session: Session, item_id: int) -> dict[int, tuple[int, str, str]]:
    """Team, its name and who decided, of the items about which people decided last, by complaint.

    Items of complaints that were merged or dismissed are left out: the work is not there any more. What was taken back
    is no decision.
    """
    undoes = ActionEvent.data["undoes"].as_integer()
    undone = select(undoes).where(ActionEvent.kind == UNDONE, undoes.is_not(None)).correlate(None)
    last = (
        select(ActionEvent.action_item_id, func.max(ActionEvent.id).label("id"))
        .where(
            ActionEvent.kind.in_(DECISIONS),
            ActionEvent.by_id.is_not(None),
            ActionEvent.action_item_id != item_id,
            ActionEvent.id.not_in(undone),
        )
        .group_by(ActionEvent.action_item_id)
        .order_by(func.max(ActionEvent.id).desc())
        .limit(LATEST)
        .subquery()
    )
    rows = session.execute(
        select(ActionItem.complaint_id, ActionItem.team_id, Team.name.label("team"), User.name.label("by"))
        .join(last, last.c.action_item_id == ActionItem.id)
        .join(ActionEvent, ActionEvent.id == last.c.id)
        .join(Team, Team.id == ActionItem.team_id)
        .join(User, User.id == ActionEvent.by_id)
        .join(Complaint, Complaint.id == ActionItem.complaint_id)
        .where(Complaint.state == ComplaintState.ACTIVE)
    )
    return {row.complaint_id: (row.team_id, row.team, row.by) for row in rows}


def speaking(session: Session, complaint_ids: Collection[int]) -> Iterable[Row[Any]]:
    """A few of the statements that stand for each complaint, as vectors."""
    place = func.row_number().over(partition_by=Statement.complaint_id, order_by=Statement.vector_id)
    few = (
        select(Statement.complaint_id, Statement.vector_id, place.label("place"))
        .where(Statement.is_exemplar, Statement.complaint_id.in_(complaint_ids))
        .subquery()
    )
    return session.execute(
        select(few.c.complaint_id, Vector.model, Vector.data)
        .join(Vector, Vector.id == few.c.vector_id)
        .where(few.c.place <= SPEAKING)
    )
