"""The forms on the page of an answer, for whoever gave it."""

from __future__ import annotations

from flask_babel import lazy_gettext
from wtforms import EmailField
from wtforms.validators import DataRequired, Email, Length

from feedback_loop.web.forms import PublicForm

ADDRESS = lazy_gettext("Enter a mail address like name@example.com.")


class AddressForm(PublicForm):
    """Leave an address."""

    email = EmailField(
        validators=[DataRequired(ADDRESS), Length(max=254, message=ADDRESS), Email(message=ADDRESS)],
    )


class EraseForm(PublicForm):
    """Erase an answer: a button, and the token of its page."""
