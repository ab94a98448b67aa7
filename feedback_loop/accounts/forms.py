"""Forms about people and teams, with their wording."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wtforms import EmailField, HiddenField, PasswordField, SelectField, StringField, ValidationError
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired, EqualTo, Length, Regexp

from feedback_loop.accounts.models import Role, Team
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
