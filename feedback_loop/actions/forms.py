"""Forms about action items, with their wording."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Any

from wtforms import DateField, RadioField, SelectField, StringField, TextAreaField
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired, Length, Optional

from feedback_loop.accounts.models import Team, User
from feedback_loop.actions.models import ActionItem, Outcome
from feedback_loop.actions.service import Closing
from feedback_loop.surveys.models import Survey
from feedback_loop.web.forms import StaffForm

LONG = Length(max=4000, message="Enter at most 4,000 characters.")


class CommentForm(StaffForm):
    """Write a comment."""

    comment = TextAreaField(
        "Comment", [DataRequired("Enter a comment."), LONG], description="Colleagues read it, customers never."
    )


class ReopenForm(StaffForm):
    """Take a closing back."""

    reason = TextAreaField(
        "Why is it open again?",
        [DataRequired("Enter a reason."), LONG],
        description="It stands in the history. Mails that have not gone out yet will not be sent.",
    )


class AssignForm(StaffForm):
    """Say whose it is and by when."""

    team = SelectField("Team", [DataRequired("Choose a team.")])
    owner = SelectField("Owner")
    due = DateField(
        "Due", [Optional()], description="The day is meant to its end, in UTC. Leave it empty for no due date."
    )

    def __init__(
        self, item: ActionItem, *args: Any, teams: Sequence[Team], owners: Sequence[User], **kwargs: Any
    ) -> None:
        kwargs.setdefault("team", str(item.team_id))
        kwargs.setdefault("owner", str(item.owner_id or ""))
        kwargs.setdefault("due", item.due_at.date() if item.due_at else None)
        super().__init__(*args, **kwargs)
        self.team.choices = [SelectChoice(str(team.id), team.name) for team in teams]
        known = {owner.id for owner in owners}
        # An owner who has been deactivated since stays visible until somebody else is chosen.
        late = [item.owner] if item.owner is not None and item.owner.id not in known else []
        self.owner.choices = [
            SelectChoice("", "Nobody yet"),
            *(
                SelectChoice(str(owner.id), f"{owner.name} ({owner.team.name if owner.team else 'no team'})")
                for owner in owners
            ),
            *(SelectChoice(str(owner.id), f"{owner.name} (not active)") for owner in late),
        ]

    @property
    def due_at(self) -> datetime | None:
        """The last second of the day chosen."""
        return datetime.combine(self.due.data, time(23, 59, 59), UTC) if self.due.data else None


class CloseForm(StaffForm):
    """Close an action item and tell those who raised it."""

    outcome = RadioField(
        "How does it end?",
        [DataRequired("Choose how it ends.")],
        choices=[
            SelectChoice(Outcome.FIXED.value, "Fixed: something was changed, and the problem should be gone"),
            SelectChoice(Outcome.DECLINED.value, "Declined: it stays as it is, for a reason that customers are told"),
        ],
    )
    root_cause = TextAreaField(
        "Root cause",
        [DataRequired("Enter the root cause."), LONG],
        description="For colleagues: what made it happen, not who. “Not known” is an honest answer.",
    )
    done = TextAreaField(
        "What was done",
        [DataRequired("Enter what was done, or why nothing was."), LONG],
        description="For colleagues: the change itself and since when it works. A link to it helps.",
    )
    statement = TextAreaField(
        "Statement to customers",
        [DataRequired("Enter what customers are to read."), LONG],
        description="They read exactly this. Plain words, no blame, and no promise without a date you own.",
    )

    def closing(self, statement_if_empty: str = "") -> Closing:
        """What was typed."""
        outcome = self.outcome.data if self.outcome.data in list(Outcome) else Outcome.FIXED
        return Closing(
            Outcome(outcome),
            self.done.data or "",
            self.root_cause.data or "",
            self.statement.data or statement_if_empty,
        )


class RuleForm(StaffForm):
    """Add a routing rule."""

    keyword = StringField(
        "Word or phrase",
        [Optional(), Length(max=100, message="Enter at most 100 characters.")],
        description="Fits when a word of the name or the keywords begins with it, or of a third of the statements.",
    )
    survey = SelectField("Survey", description="Fits when more than half of the statements came from it.")
    team = SelectField("Goes to", [DataRequired("Choose a team.")])

    def __init__(self, *args: Any, teams: Sequence[Team], surveys: Sequence[Survey], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.team.choices = [SelectChoice(str(team.id), team.name) for team in teams]
        self.survey.choices = [
            SelectChoice("", "Any survey"),
            *(SelectChoice(str(survey.id), survey.name) for survey in surveys),
        ]
