"""What the complaints of the last 30 days would have done under other rules. Reads, and writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import Team
from feedback_loop.actions.models import ActionItem
from feedback_loop.actions.routing import queries
from feedback_loop.actions.routing.deciding import Route, Rule, fits, route, shadowed_by
from feedback_loop.actions.routing.evidence import evidence_of, rule_of
from feedback_loop.actions.routing.models import RoutingRule
from feedback_loop.complaints.models import Complaint, ComplaintState

SPAN = timedelta(days=30)
MOST = 200


@dataclass(frozen=True)
class Moved:
    """One complaint, as the rules route it now and as they would.

    Attributes:
        complaint: It.
        now: Under the rules as they are.
        then: With the rule that is being looked at.
        elsewhere: The team that has it, where that is neither: somebody gave it away by hand.
    """

    complaint: Complaint
    now: Route
    then: Route
    elsewhere: str

    @property
    def is_changed(self) -> bool:
        """Whether it would get another team, owner, priority or service level."""
        return self.gets(self.now) != self.gets(self.then)

    @staticmethod
    def gets(route: Route) -> tuple[object, ...]:
        """What an item gets."""
        rule = route.rule
        return route.team_id, *((rule.owner_id, rule.priority, rule.service_level_id) if rule else (None, None, None))


@dataclass(frozen=True)
class Balance:
    """How many complaints a team gets under the rules as they are, and would get."""

    team: str
    now: int
    then: int


@dataclass(frozen=True)
class Preview:
    """What a rule would have done.

    Attributes:
        rule: It, at the place it has or would have.
        moved: Complaints of the last 30 days, the newest first; those that it changes come first.
        fitting: How many it fits, wherever it stands.
        taken: Of these, how many an earlier rule takes.
        teams: Of all teams that get any.
        is_cut: Whether there were more complaints than are looked at.
        shadow: An earlier rule because of which it can never match.
    """

    rule: Rule
    moved: Sequence[Moved]
    fitting: int
    taken: int
    teams: Sequence[Balance]
    is_cut: bool
    shadow: Rule | None

    @property
    def changed(self) -> Sequence[Moved]:
        """Those that would get something else."""
        return [each for each in self.moved if each.is_changed]

    @property
    def same(self) -> Sequence[Moved]:
        """Those that would not."""
        return [each for each in self.moved if not each.is_changed]


def preview(session: Session, rule: Rule, replaced: RoutingRule | None, now: datetime, like: float) -> Preview:
    """What the complaints of the last 30 days would have done with a rule.

    Args:
        session: A session that reads.
        rule: As it would be, at its place.
        replaced: The rule that it is a change of, if it is one.
        now: The present moment.
        like: Likeness from which a complaint is like examples; it belongs to the embedding model.
    """
    rows = queries.rules(session)
    asked = [rule_of(row, place) for place, row in enumerate(rows, 1) if row.is_active]
    others = [each for each in asked if replaced is None or rows[each.place - 1].id != replaced.id]
    complaints = newest_complaints(session, now)
    evidence = evidence_of(session, complaints[:MOST], [*asked, rule])
    teams = {team.id: team for team in session.scalars(select(Team).order_by(Team.is_default.desc(), Team.id))}
    default = next(iter(teams.values()))
    having: dict[int, int] = dict(
        session.execute(
            select(ActionItem.complaint_id, ActionItem.team_id).where(ActionItem.complaint_id.in_(evidence))
        ).all()
    )
    moved, fitting, taken = [], 0, 0
    for complaint in complaints[:MOST]:
        known = evidence[complaint.id]
        before = route(known, asked, default.id, default.name, like)
        # What the other rules do is mostly what they do now; asking them twice would take twice as long.
        after = (
            before
            if replaced is None or before.rule is None or before.rule.place != rule.place
            else route(known, others, default.id, default.name, like)
        )
        if fits(rule, known, like):
            fitting += 1
            if after.rule is not None and after.rule.place < rule.place:
                taken += 1
            else:
                after = route(known, [rule], default.id, default.name, like)
        team_id = having.get(complaint.id)
        elsewhere = teams[team_id].name if team_id not in (None, before.team_id, after.team_id) else ""
        moved.append(Moved(complaint, before, after, elsewhere))
    return Preview(
        rule,
        moved,
        fitting,
        taken,
        balance(moved, {id: team.name for id, team in teams.items()}),
        len(complaints) > MOST,
        shadowed_by(rule, [each for each in others if each.place < rule.place]),
    )


def newest_complaints(session: Session, now: datetime) -> Sequence[Complaint]:
    """The complaints found in the last 30 days, the newest first; one more than are looked at."""
    return session.scalars(
        select(Complaint)
        .where(
            Complaint.state == ComplaintState.ACTIVE,
            Complaint.created_at > now - SPAN,
            Complaint.created_at <= now,
            Complaint.statement_count > 0,
        )
        .order_by(Complaint.created_at.desc(), Complaint.id.desc())
        .limit(MOST + 1)
    ).all()


def balance(moved: Sequence[Moved], names: Mapping[int, str]) -> list[Balance]:
    """How many complaints each team gets and would get, the team with most first."""
    now, then = Counter(each.now.team_id for each in moved), Counter(each.then.team_id for each in moved)
    rows = [Balance(names[id], now[id], then[id]) for id in now.keys() | then.keys()]
    return sorted(rows, key=lambda row: (-row.then, row.team))
