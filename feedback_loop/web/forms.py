"""Base forms. Staff forms carry a session-bound token; public forms a signed one, because public pages use no
cookies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from flask import current_app, request
from flask_babel import gettext
from flask_wtf import FlaskForm
from flask_wtf.form import _Auto
from itsdangerous import BadSignature, URLSafeTimedSerializer
from wtforms import Form, HiddenField, ValidationError

from feedback_loop.clock import utc_now
from feedback_loop.db import clean_text
from feedback_loop.tokens import draw, hashed

FORM_TOKEN_AGE = timedelta(hours=24)


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

        def wrap_formdata(self, form: Any, formdata: Any) -> Any:
            """Read what a browser sent (a hook of Flask-WTF); JSON, which it would take as well, is no form of ours."""
            if formdata is _Auto and request.is_json:
                return None
            return super().wrap_formdata(form, formdata)


def signer() -> URLSafeTimedSerializer:
    """Signs the tokens of public forms."""
    return signer_with(str(current_app.secret_key or ""))


@cache
def signer_with(secret_key: str) -> URLSafeTimedSerializer:
    """The same for one key, made once."""
    return URLSafeTimedSerializer(secret_key, salt="public-form")


@dataclass(frozen=True)
class ShownPage:
    """One page as it was made for one reader.

    Attributes:
        identifier: Random; what is sent twice from one page was meant once.
        made_at: When it was made, to the millisecond.
        version: Of the texts it showed; None where there are no versions.
    """

    identifier: str
    made_at: datetime
    version: int | None = None

    @property
    def key(self) -> str:
        """What is stored of the identifier."""
        return hashed(self.identifier)


class PublicForm(Form):  # type: ignore[misc]
    """A form for customers. `purpose` ties its token to one page, so that a token of another page does not fit.

    Attributes:
        shown: The page it was sent from; None before it is sent, or where the token is none of ours.
        version: Of the texts that the page about to be shown holds.
        is_ours: Whether it was sent from a page of ours, however long ago.
    """

    class Meta(TidyMeta, Form.Meta):  # type: ignore[misc]
        """Tidies."""

    form_token = HiddenField()

    def __init__(self, formdata: Any = None, *, purpose: str, version: int | None = None, **kwargs: Any) -> None:
        self.purpose, self.version = purpose, version
        super().__init__(formdata, **kwargs)
        self._identifier = ""
        self.shown = self._read(self.form_token.data or "")
        self.is_ours = bool(self._identifier)

    @property
    def page_key(self) -> str:
        """What is stored of the identifier of the page that is shown."""
        self._identifier = self._identifier or draw()
        return hashed(self._identifier)

    def new_token(self) -> str:
        """A token for the page about to be shown; a page that comes back with a message is still the same page."""
        self._identifier = self._identifier or draw()
        token = signer().dumps([self.purpose, self._identifier, int(utc_now().timestamp() * 1000), self.version])
        return token.decode() if isinstance(token, bytes) else token

    def validate_form_token(self, _field: Any) -> None:
        """Refuse a form that did not come from our page, or that lay open for a day; what was typed stays."""
        if self.shown is None:
            raise ValidationError(
                gettext("This page had been open for too long. Nothing is lost: please press Send once more.")
            )

    def _read(self, token: str) -> ShownPage | None:
        try:
            # Pages that were open when versions came in have none.
            (purpose, identifier, made, *version), signed_at = signer().loads(token, return_timestamp=True)
        except (BadSignature, ValueError, TypeError):
            return None
        if purpose != self.purpose:
            return None
        self._identifier = (
            identifier  # kept where the page is too old, too: what is sent from it again is no second answer
        )
        if utc_now() - signed_at > FORM_TOKEN_AGE:
            return None
        return ShownPage(identifier, datetime.fromtimestamp(made / 1000, UTC), *version)
