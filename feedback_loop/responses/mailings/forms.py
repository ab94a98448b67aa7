"""Forms about mailings, with their wording."""

from __future__ import annotations

import io
from typing import Any

from flask_wtf.file import FileField, FileRequired
from wtforms import IntegerField, SelectField, SelectMultipleField, StringField, TextAreaField, ValidationError
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange
from wtforms.widgets import CheckboxInput, ListWidget

from feedback_loop.responses.csvfiles import READING
from feedback_loop.responses.mailings.models import Mailing
from feedback_loop.responses.mailings.service import Plan
from feedback_loop.web.forms import StaffForm

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
OPENS = [SelectChoice(hour, f"{hour:02}:00") for hour in range(24)]
CLOSES = [SelectChoice(hour, f"{hour:02}:00") for hour in range(1, 25)]
SETTINGS = ("rate", "opens", "closes", "reminders", "remind_after_days", "valid_days", "ask_again_days")


def whole(label: str, low: int, high: int, description: str, default: int) -> Any:
    """A field for a whole number."""
    message = f"Enter a whole number from {low} to {high:,}."
    checks = [InputRequired(message), NumberRange(low, high, message)]
    return IntegerField(label, checks, description=description, default=default)


class PlanForm(StaffForm):
    """How a mailing is to go out."""

    name = StringField(
        "Name",
        [DataRequired("Enter a name."), Length(max=200, message="Enter at most 200 characters.")],
        description="For your colleagues: who is asked, such as “Orders of September”.",
    )
    why = TextAreaField(
        "Why you ask them",
        [DataRequired("Enter why you ask them."), Length(max=500, message="Enter at most 500 characters.")],
        description="The mail begins with it. Say what they had to do with you, in one or two sentences.",
        default=Plan.why,
    )
    opens = SelectField("From", coerce=int, choices=OPENS, default=Plan.opens)
    closes = SelectField("Until", coerce=int, choices=CLOSES, default=Plan.closes)
    weekdays = SelectMultipleField(
        "Days",
        coerce=int,
        choices=[SelectChoice(day, name) for day, name in enumerate(WEEKDAYS)],
        default=[0, 1, 2, 3, 4],
        option_widget=CheckboxInput(),
        widget=ListWidget(prefix_label=False),
        description="Days and hours are those of each customer’s own time zone.",
    )
    rate = whole("Most mails a minute", 1, 1000, "Ask your mail provider what it takes; 60 is careful.", Plan.rate)
    reminders = SelectField(
        "Reminders",
        coerce=int,
        choices=[SelectChoice(0, "None"), SelectChoice(1, "One"), SelectChoice(2, "Two")],
        default=Plan.reminders,
        description="Only to people who have not answered by then.",
    )
    remind_after_days = whole("Days before a reminder", 1, 60, "Counted from the last mail.", Plan.remind_after_days)
    valid_days = whole("Days to answer", 1, 365, "After that the link says that it is over.", Plan.valid_days)
    ask_again_days = whole(
        "Leave out who was asked or answered in the last … days",
        0,
        3650,
        "In this survey. 0 leaves nobody out for this. A list with a column “experience” goes by that instead.",
        Plan.ask_again_days,
    )

    def __init__(self, *args: Any, mailing: Mailing | None = None, **kwargs: Any) -> None:
        if mailing is not None:
            kwargs = {name: getattr(mailing, name) for name in ("name", "why", *SETTINGS)} | kwargs
            kwargs.setdefault("weekdays", [day for day in range(7) if mailing.weekdays >> day & 1])
        super().__init__(*args, **kwargs)

    def validate_closes(self, field: Any) -> None:
        """Refuse hours that are none."""
        if isinstance(self.opens.data, int) and isinstance(field.data, int) and field.data <= self.opens.data:
            raise ValidationError("Choose an hour after the first one.")

    def validate_weekdays(self, field: Any) -> None:
        """Refuse a week without a day."""
        if not field.data:
            raise ValidationError("Choose at least one day.")

    def plan(self) -> Plan:
        """What was entered."""
        return Plan(
            name=self.name.data or "",
            why=self.why.data or "",
            weekdays=sum(1 << day for day in self.weekdays.data),
            **{name: getattr(self, name).data for name in SETTINGS},
        )


class MailingForm(PlanForm):
    """Put a mailing together: its list, and how it is to go out."""

    file = FileField(
        "List of people, as a CSV file",
        [FileRequired("Choose a file.")],
        description="The first line names the columns. “email” must be there; name, language, time_zone (such as "
        "Europe/Berlin), experience and experienced_at may be; all others come along with the answers.",
    )

    def stream(self) -> io.TextIOWrapper:
        """The list as text."""
        return io.TextIOWrapper(self.file.data.stream, **READING)
