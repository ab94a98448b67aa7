"""Forms about service levels and priority, with their wording."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from wtforms import IntegerField, SelectField, StringField, TextAreaField, ValidationError
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange

from feedback_loop.accounts.forms import CheckboxesField
from feedback_loop.actions.forms import VersionedForm
from feedback_loop.actions.levels.service import USUAL, Terms
from feedback_loop.actions.models import ActionItem, Priority, ServiceLevel
from feedback_loop.notifications.hours import time_zones
from feedback_loop.web.forms import StaffForm

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
HALF_HOUR = 30
MOST_HOURS = 2000
MOST_HOLIDAYS = 400
PRIORITIES = {
    Priority.URGENT: "Urgent",
    Priority.HIGH: "High",
    Priority.NORMAL: "Normal",
    Priority.LOW: "Low",
}


def clock(minutes: int) -> str:
    """Minutes after midnight as a clock shows them: `09:30`."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


def times(first: int, last: int) -> list[SelectChoice]:
    """Every half hour."""
    return [SelectChoice(minutes, clock(minutes)) for minutes in range(first, last + 1, HALF_HOUR)]


def hours(label: str, low: int, default: int, description: str = "") -> IntegerField:
    """A field for business hours."""
    message = f"Enter whole hours, from {low} to {MOST_HOURS:,}."
    return IntegerField(
        label,
        [InputRequired(message), NumberRange(low, MOST_HOURS, message)],
        description=description,
        default=default,
    )


def zones() -> list[SelectChoice]:
    """Time zones by the names of places."""
    named = sorted(zone for zone in time_zones() if "/" in zone and not zone.startswith(("Etc/", "SystemV/")))
    return [SelectChoice(zone, zone.replace("_", " ")) for zone in ("UTC", *named)]


class LevelForm(StaffForm):
    """What a service level says."""

    name = StringField("Name", [DataRequired("Enter a name."), Length(max=80, message="Enter at most 80 characters.")])
    urgent = hours("Urgent", 1, USUAL[Priority.URGENT])
    high = hours("High", 1, USUAL[Priority.HIGH])
    normal = hours("Normal", 1, USUAL[Priority.NORMAL])
    low = hours("Low", 1, USUAL[Priority.LOW])
    days = CheckboxesField(
        "Working days",
        [DataRequired("Choose at least one day.")],
        choices=[SelectChoice(day, name) for day, name in enumerate(WEEKDAYS)],
        coerce=int,
        default=list(range(5)),
    )
    opens = SelectField("From", choices=times(0, 1410), coerce=int, default=540)
    closes = SelectField("To", choices=times(HALF_HOUR, 1440), coerce=int, default=1020)
    time_zone = SelectField("Time zone", [DataRequired("Choose a time zone.")])
    holidays = TextAreaField(
        "Holidays", description="Days nobody works, one on each line, such as 2026-12-25. Remember to add next year’s."
    )
    remind_hours = hours("Before it is due, the owner", 0, 8, "0 for never. It comes with the digest.")
    lead_hours = hours("After it was due, the leads", 0, 0, "0 for as soon as it is overdue.")
    admin_hours = hours("After it was due, the admins", 0, 16)

    def __init__(self, *args: Any, level: ServiceLevel | None = None, zone: str = "UTC", **kwargs: Any) -> None:
        if level is not None:
            kwargs |= {name: getattr(level, name) for name in ("name", "days", "opens", "closes", "time_zone")}
            kwargs |= {name: getattr(level, name) for name in ("remind_hours", "lead_hours", "admin_hours")}
            kwargs |= level.hours | {"holidays": "\n".join(level.holidays)}
        kwargs.setdefault("time_zone", zone)
        super().__init__(*args, **kwargs)
        self.time_zone.choices = zones()
        for field in (self.opens, self.closes):
            if level is not None and field.object_data % HALF_HOUR:  # made by other means than this form
                field.choices = sorted([*field.choices, SelectChoice(field.object_data, clock(field.object_data))])

    def validate_closes(self, field: SelectField) -> None:
        """A day needs hours."""
        if isinstance(self.opens.data, int) and field.data - self.opens.data < 2 * HALF_HOUR:
            raise ValidationError("Choose an end at least an hour after the beginning.")

    def validate_holidays(self, field: TextAreaField) -> None:
        """Read them line by line."""
        lines = [line.strip() for line in (field.data or "").splitlines()]
        if len(lines) > MOST_HOLIDAYS:
            raise ValidationError(f"Enter at most {MOST_HOLIDAYS} days. Those that are over can go.")
        self.days_off: list[date] = []
        for number, line in enumerate(lines, 1):
            try:
                if line:
                    self.days_off.append(date.fromisoformat(line))
            except ValueError:
                raise ValidationError(f"Line {number}: “{line[:40]}” is no day. Enter it as 2026-12-25.") from None

    def _ascending(self, field: IntegerField, slower: IntegerField) -> None:
        if isinstance(field.data, int) and isinstance(slower.data, int) and field.data > slower.data:
            raise ValidationError(
                f"Enter at most {slower.data:,}, the hours of {slower.label.text.lower()} priority: "
                "what is more urgent cannot take longer."
            )

    def validate_urgent(self, field: IntegerField) -> None:
        """At most as long as the next one."""
        self._ascending(field, self.high)

    def validate_high(self, field: IntegerField) -> None:
        """At most as long as the next one."""
        self._ascending(field, self.normal)

    def validate_normal(self, field: IntegerField) -> None:
        """At most as long as the next one."""
        self._ascending(field, self.low)

    @property
    def terms(self) -> Terms:
        """What was typed, once it is valid."""
        return Terms(
            self.name.data,
            {priority: self[priority.value].data for priority in Priority},
            self.days.data,
            self.opens.data,
            self.closes.data,
            self.time_zone.data,
            self.days_off,
            self.remind_hours.data,
            self.lead_hours.data,
            self.admin_hours.data,
        )


class PriorityForm(VersionedForm):
    """Choose the priority of an item."""

    priority = SelectField(
        "Priority",
        choices=[
            SelectChoice("", "By its arithmetic"),
            *(SelectChoice(priority.value, name) for priority, name in PRIORITIES.items()),
        ],
    )
    reason = StringField(
        "Why",
        [Length(max=200, message="Enter at most 200 characters.")],
        description="Where you choose it yourself. It stands in the history.",
    )

    def __init__(self, item: ActionItem, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("priority", item.priority.value if item.priority_by_hand else "")
        super().__init__(item, *args, **kwargs)

    def validate_reason(self, field: StringField) -> None:
        """Who chooses says why."""
        if self.priority.data and not field.data:
            raise ValidationError("Enter why, so that others understand it.")


class ItemLevelForm(VersionedForm):
    """Choose the service level of an item."""

    level = SelectField("Service level")

    def __init__(self, item: ActionItem, *args: Any, levels: Sequence[ServiceLevel], **kwargs: Any) -> None:
        kwargs.setdefault("level", str(item.service_level_id or ""))
        super().__init__(item, *args, **kwargs)
        usual = next((level.name for level in levels if level.is_default), "")
        self.level.choices = [
            SelectChoice("", f"The default ({usual})" if usual else "The default"),
            *(
                SelectChoice(str(level.id), f"{level.name} (archived)" if level.archived_at else level.name)
                for level in levels
                if level.archived_at is None or level.id == item.service_level_id
            ),
        ]
