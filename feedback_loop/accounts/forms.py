"""Forms about people, teams and API keys, with their wording."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from wtforms import (
    DateField,
    EmailField,
    HiddenField,
    PasswordField,
    SelectField,
    SelectMultipleField,
    StringField,
    ValidationError,
)
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired, EqualTo, Length, Optional, Regexp
from wtforms.widgets import CheckboxInput, ListWidget

from feedback_loop.accounts.models import Role, Scope, Team
from feedback_loop.clock import utc_now
from feedback_loop.web.forms import StaffForm

PASSWORD_LENGTH = 10
# Enough to tell an address from a slip; `admin@localhost` is one too. Whether it takes mail, only a mail can say.
ADDRESS = r"^[^@\s<>,;]+@[^@\s<>,;]+$"
ROLES = [
    SelectChoice(Role.VIEWER.value, "Viewer: reads everything, changes nothing"),
    SelectChoice(Role.OWNER.value, "Owner: works on the action items of their team"),
    SelectChoice(Role.LEAD.value, "Lead: works on all action items, sets teams and routing"),
    SelectChoice(Role.ADMIN.value, "Admin: everything, with surveys and people"),
]


class SignInForm(StaffForm):
    """Sign in."""

    email = EmailField("Email", [DataRequired("Enter your email address.")])
    password = PasswordField("Password", [DataRequired("Enter your password.")])
    next = HiddenField()


class PasswordForm(StaffForm):
    """Choose a new password."""

    current = PasswordField("Current password", [DataRequired("Enter your current password.")])
    new = PasswordField(
        "New password",
        [
            DataRequired("Enter a new password."),
            Length(min=PASSWORD_LENGTH, max=200, message=f"Enter at least {PASSWORD_LENGTH} characters."),
        ],
        description=f"At least {PASSWORD_LENGTH} characters. Several words you can remember are best.",
    )
    again = PasswordField(
        "New password again",
        [DataRequired("Enter the new password again."), EqualTo("new", "Enter the same password twice.")],
    )

    def validate_new(self, field: PasswordField) -> None:
        """A forced change must change something."""
        if field.data and field.data == self.current.data:
            raise ValidationError("Enter a password that differs from the current one.")


class TeamForm(StaffForm):
    """Add a team."""

    name = StringField(
        "Name of the new team",
        [DataRequired("Enter a name for the team."), Length(max=80, message="Enter at most 80 characters.")],
    )


class PersonForm(StaffForm):
    """Add a person."""

    name = StringField(
        "Name", [DataRequired("Enter their name."), Length(max=200, message="Enter at most 200 characters.")]
    )
    email = EmailField(
        "Email",
        [
            DataRequired("Enter their email address."),
            Regexp(ADDRESS, message="Enter an email address such as lena@example.com."),
            Length(max=254, message="Enter at most 254 characters."),
        ],
        description="They sign in with it.",
    )
    role = SelectField("Role", [DataRequired("Choose a role.")], choices=ROLES, default=Role.OWNER.value)
    team = SelectField("Team", description="Owners work on the action items of their team.")

    def __init__(self, *args: Any, teams: Sequence[Team], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.team.choices = [SelectChoice("", "No team"), *(SelectChoice(str(team.id), team.name) for team in teams)]


SCOPES = [
    SelectChoice(Scope.ANSWERS_WRITE.value, "Send answers"),
    SelectChoice(Scope.INVITATIONS_WRITE.value, "Make invitations, and get their links"),
    SelectChoice(Scope.CUSTOMERS_WRITE.value, "Make and rename customers"),
    SelectChoice(Scope.READ.value, "Read surveys and answers, with comments redacted"),
]
BAD_DAY = "Enter a day such as 2027-03-31, or leave this empty."
LONGEST_KEY = timedelta(days=3650)


class CheckboxesField(SelectMultipleField):  # type: ignore[misc]
    """Any number of choices, each with a box."""

    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()


class DayField(DateField):  # type: ignore[misc]
    """A day, as browsers send it."""

    def process_formdata(self, valuelist: list[str]) -> None:
        """Read it, with a message that says what would do."""
        try:
            super().process_formdata(valuelist)
        except ValueError:
            raise ValueError(BAD_DAY) from None


class ApiKeyForm(StaffForm):
    """Make an API key."""

    name = StringField(
        "What is it for?",
        [DataRequired("Enter what the key is for."), Length(max=80, message="Enter at most 80 characters.")],
        description="The system that will use it, such as “Help desk”. One key for each system.",
    )
    scopes = CheckboxesField(
        "What may it do?",
        [DataRequired("Choose at least one thing the key may do.")],
        choices=SCOPES,
        description="No more than this system needs.",
    )
    last_day = DayField(
        "Last day it works", [Optional()], description="Optional. Without one it works until somebody revokes it."
    )

    def validate_last_day(self, field: DayField) -> None:
        """A key that is over before it begins helps nobody; one far ahead is a slip."""
        today = utc_now().date()
        if field.data and not today <= field.data <= today + LONGEST_KEY:
            raise ValidationError("Enter today or a later day, at most ten years ahead.")

    @property
    def expires_at(self) -> datetime | None:
        """When the last day is over, in UTC."""
        if self.last_day.data is None:
            return None
        day = self.last_day.data + timedelta(days=1)
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
