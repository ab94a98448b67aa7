"""Forms of triage, with their wording."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from wtforms import SelectField, StringField
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired, Optional

from feedback_loop.accounts.models import Team, User
from feedback_loop.web.forms import StaffForm

SNOOZES = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30)}


class TriageForm(StaffForm):
    """Decide about one complaint in triage, or about several; each button sends what it needs."""

    team = SelectField("Team", [DataRequired("Choose a team.")])
    owner = SelectField("Owner")
    snooze = SelectField(
        "Snooze for",
        choices=[SelectChoice("day", "1 day"), SelectChoice("week", "1 week"), SelectChoice("month", "1 month")],
    )
    other = StringField("Another complaint", [Optional()])

    def __init__(self, *args: Any, teams: Sequence[Team], owners: Sequence[User], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.team.choices = [SelectChoice(str(team.id), team.name) for team in teams]
        self.owner.choices = [
            SelectChoice("", "Nobody yet"),
            *(
                SelectChoice(str(each.id), f"{each.name}{f', {each.team.name}' if each.team else ''}")
                for each in owners
            ),
        ]

    def complains_of(self, *names: str) -> str:
        """What is wrong with some of its fields, in words; "" if they will do. The others are not looked at."""
        self.validate()
        return " ".join(str(error) for name in ("csrf_token", *names) for error in self.errors.get(name, []))
