"""Forms about what is kept of a person, with their wording."""

from __future__ import annotations

from wtforms import BooleanField, StringField
from wtforms.validators import DataRequired, Email, InputRequired, Length

from feedback_loop.web.forms import StaffForm


class LookForm(StaffForm):
    """Whose data is asked for, and why."""

    address = StringField(
        "Mail address",
        [
            DataRequired("Enter the address."),
            Email("Enter a whole address, such as maya@example.com."),
            Length(max=254),
        ],
    )
    why = StringField(
        "Why?",
        [DataRequired("Enter why, for whoever asks later."), Length(max=200, message="Enter at most 200 characters.")],
        description="Such as “Asked by letter on 3 May, file 2026/17”. It is kept: name nobody in it.",
    )


class EraseForm(LookForm):
    """Erase it; the box is on the page that says what happens."""

    sure = BooleanField("I have read what happens, and that it cannot be undone", [InputRequired("Tick the box.")])
