"""Base forms. Staff forms carry a session-bound token; public forms a signed one, because public pages use no
cookies."""

from __future__ import annotations

from typing import Any

from flask import current_app
from flask_babel import gettext
from flask_wtf import FlaskForm
from itsdangerous import BadSignature, URLSafeTimedSerializer
from wtforms import Form, HiddenField, ValidationError

from feedback_loop.db import clean_text

FORM_TOKEN_HOURS = 24


def tidy(value: Any) -> Any:
    """Make typed text storable and cut white space at its ends."""
    return clean_text(value).strip() if isinstance(value, str) else value


class TidyMeta:
    """Every field tidies what was typed."""

    def bind_field(self, form: Any, unbound_field: Any, options: dict[str, Any]) -> Any:
        """Bind a field with the tidying first (a hook of WTForms)."""
        options["filters"] = [tidy, *unbound_field.kwargs.get("filters", ())]
        return unbound_field.bind(form=form, **options)


class StaffForm(FlaskForm):  # type: ignore[misc]
    """A form of people who are signed in."""

    class Meta(TidyMeta, FlaskForm.Meta):  # type: ignore[misc]
        """Tidies, and keeps Flask-WTF's session-bound token."""


def signer() -> URLSafeTimedSerializer:
    """Signs the tokens of public forms."""
    return URLSafeTimedSerializer(current_app.secret_key or "", salt="public-form")


class PublicForm(Form):  # type: ignore[misc]
    """A form for customers. `purpose` ties its token to one page, so that a token of another page does not fit."""

    class Meta(TidyMeta, Form.Meta):  # type: ignore[misc]
        """Tidies."""

    form_token = HiddenField()

    def __init__(self, formdata: Any = None, *, purpose: str, **kwargs: Any) -> None:
        self.purpose = purpose
        super().__init__(formdata, **kwargs)

    def new_token(self) -> str:
        """A token for the page about to be shown."""
        token = signer().dumps(self.purpose)
        return token.decode() if isinstance(token, bytes) else token

    def validate_form_token(self, field: Any) -> None:
        """Refuse a form that did not come from our page, or that lay open for a day; what was typed stays."""
        try:
            purpose = signer().loads(field.data or "", max_age=FORM_TOKEN_HOURS * 3600)
        except BadSignature:
            purpose = None
        if purpose != self.purpose:
            raise ValidationError(
                gettext("This page had been open for too long. Nothing is lost: please press Send once more.")
            )
