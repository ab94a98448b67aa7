"""The form of "did this fix it?"."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext
from wtforms import StringField, ValidationError

from feedback_loop.followups.models import Fixed
from feedback_loop.responses.forms import CustomerForm


class FollowUpForm(CustomerForm):
    """Whether it is fixed; or, where nothing was changed, whether they can live with that. With a few words.

    Attributes:
        is_decision: Whether nothing was changed: who disagrees then says why.
    """

    answer = StringField()

    def __init__(self, formdata: Any = None, *, is_decision: bool, **kwargs: Any) -> None:
        self.is_decision = is_decision
        super().__init__(formdata, **kwargs)

    @property
    def choices(self) -> list[Fixed]:
        """What can be answered."""
        return [Fixed.YES, Fixed.NO] if self.is_decision else list(Fixed)

    @property
    def fixed(self) -> Fixed:
        """The answer given. Of a valid form only."""
        return Fixed(self.answer.data)

    def validate_answer(self, field: Any) -> None:
        """A comment alone would not say whether it is fixed."""
        if field.data not in self.choices:
            raise ValidationError(gettext("Choose one of the answers."))

    def validate_comment(self, field: Any) -> None:
        """A decision was made for a reason, and only a reason speaks against it."""
        super().validate_comment(field)
        if self.is_decision and self.answer.data == Fixed.NO and not self.words.strip():
            raise ValidationError(gettext("Say in a few words why you disagree."))
