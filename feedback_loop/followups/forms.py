"""The form of "did this fix it?"."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext
from wtforms import StringField, ValidationError

from feedback_loop.followups.models import Fixed
from feedback_loop.responses.forms import CustomerForm


class FollowUpForm(CustomerForm):
    """Yes or no, and a few words if they like."""

    answer = StringField()

    @property
    def fixed(self) -> Fixed:
        """The answer given. Of a valid form only."""
        return Fixed(self.answer.data)

    def validate_answer(self, field: Any) -> None:
        """A comment alone would not say whether it is fixed."""
        if field.data not in list(Fixed):
            raise ValidationError(gettext("Choose yes or no."))
