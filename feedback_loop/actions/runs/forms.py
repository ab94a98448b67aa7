"""Forms about the notification run of a closing, with their wording."""

from __future__ import annotations

from typing import Any

from wtforms import EmailField, TextAreaField
from wtforms.validators import DataRequired, Length

from feedback_loop.actions.forms import LONG
from feedback_loop.actions.models import Closure
from feedback_loop.web.forms import StaffForm


class StatementForm(StaffForm):
    """Change what customers will read."""

    statement = TextAreaField("Statement to customers", [DataRequired("Enter what customers are to read."), LONG])

    def __init__(self, closure: Closure, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("statement", closure.statement)
        super().__init__(*args, **kwargs)


class AddPersonForm(StaffForm):
    """Tell somebody who did not raise it here."""

    address = EmailField(
        "Mail address",
        [DataRequired("Enter the mail address of a customer."), Length(max=254, message="Enter a mail address.")],
        description="Of a customer who said so elsewhere, on the telephone perhaps. Their mail quotes nothing.",
    )
