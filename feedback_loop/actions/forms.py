"""Forms about action items, with their wording."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Any

from wtforms import DateField, HiddenField, SelectField, StringField, TextAreaField, ValidationError
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired, Length, Optional

from feedback_loop.accounts.models import Team, User
from feedback_loop.actions.models import ActionItem
from feedback_loop.actions.service import LONGEST_WAIT, latest_due, too_late
from feedback_loop.clock import utc_now
from feedback_loop.web.forms import StaffForm

LONG = Length(max=4000, message="Enter at most 4,000 characters.")


class VersionedForm(StaffForm):
    """A form about an item that carries the version of it from which it was made.

    What another person changed since is found with it; see `changes.since`.
    """

    version = HiddenField()

    def __init__(self, item: ActionItem | None = None, *args: Any, **kwargs: Any) -> None:
        if item is not None:
            kwargs.setdefault("version", str(item.version))
        super().__init__(*args, **kwargs)

    @property
    def made_from(self) -> int | None:
        """The version; None where the form carries none."""
        return int(self.version.data) if re.fullmatch(r"[0-9]{1,9}", self.version.data or "") else None

    def renew(self, item: ActionItem) -> None:
        """Make it one of the item as it is now: whoever sends it again knows what changed."""
        self.version.data = str(item.version)


class CommentForm(StaffForm):
    """Write a comment."""

    comment = TextAreaField(
        "Comment", [DataRequired("Enter a comment."), LONG], description="Colleagues read it, customers never."
    )


class ReopenForm(VersionedForm):
    """Take a closing back."""

    reason = TextAreaField(
        "Why is it open again?",
        [DataRequired("Enter a reason."), LONG],
        description="It stands in the history. Mails that have not gone out yet will not be sent.",
    )


class WaitForm(VersionedForm):
    """Say that nothing can be done until something happens."""

    what_for = StringField(
        "What does it wait for?",
        [
            DataRequired("Enter what it waits for."),
            Length(max=LONGEST_WAIT, message=f"Enter at most {LONGEST_WAIT} characters."),
        ],
        description="Whose answer or which event, such as “the carrier’s offer”. Colleagues read it.",
    )


class AssignForm(VersionedForm):
    """Say whose it is and by when."""

    team = SelectField("Team", [DataRequired("Choose a team.")])
    owner = SelectField("Owner")
    due = DateField(
        "Due",
        [Optional()],
        description="The day is meant to its end, in UTC. Leave it empty and the service level says when.",
    )

    why = StringField(
        "Why",
        [Optional(), Length(max=300, message="Enter at most 300 characters.")],
        description="Stands in the history. You may leave it empty.",
    )

    def __init__(
        self, item: ActionItem, *args: Any, teams: Sequence[Team], owners: Sequence[User], **kwargs: Any
    ) -> None:
        kwargs.setdefault("team", str(item.team_id))
        kwargs.setdefault("owner", str(item.owner_id or ""))
        kwargs.setdefault("due", item.due_at.date() if item.due_at and item.due_by_hand else None)
        super().__init__(item, *args, **kwargs)
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

    def validate_due(self, field: DateField) -> None:
        """At most five years ahead."""
        now = utc_now()
        if field.data and field.data > latest_due(now).date():
            raise ValidationError(too_late(now))

    @property
    def due_at(self) -> datetime | None:
        """The last second of the day chosen."""
        return datetime.combine(self.due.data, time(23, 59, 59), UTC) if self.due.data else None
