"""Errors as pages that say what to do, in the layout of whoever meets them; for programs, as problem+json."""

from __future__ import annotations

import logging

from flask import Flask, Response, render_template, request
from flask_babel import gettext
from flask_wtf.csrf import CSRFError
from jinja2 import TemplateNotFound
from sqlalchemy.exc import DataError, DBAPIError
from werkzeug.exceptions import HTTPException

from feedback_loop.languages import to_translate as _
from feedback_loop.logs import named
from feedback_loop.web import keeping, problems

log = logging.getLogger(__name__)

# Of those marked for the catalogues, customers meet all; what they meet on their pages speaks their language.
MESSAGES = {
    400: _("The form could not be read. Please go back and send it again."),
    403: "You are signed in, but your role does not include this page. Ask an admin if you need it.",
    404: _("There is nothing at this address. A link may have been cut off in the mail: please copy it whole."),
    405: _("This address cannot be used in this way."),
    410: _("This is over."),
    413: _("What was sent is too large."),
    429: _("Too much came from your network in a short time. Please wait a minute and try again."),
    500: _("Something went wrong on our side. It has been written down; please try again in a minute."),
    503: _("The site is very busy just now. Nothing was saved; please try again in a minute."),
}
TO_REPEAT = _(
    "Nothing can be stored just now, so your text was not saved. It is not lost either: please press “Send it again” "
    "in a minute."
)


def page(code: int, message: str) -> tuple[str, int] | Response:
    """An error page: the template of this code, or the general one. A program gets a problem instead."""
    if problems.is_for_program():
        return problems.answer(problems.Problem(code, problems.MESSAGES.get(code, message)))
    template = f"errors/{code}.html"
    message = gettext(message)
    try:
        return render_template(template, message=message, code=code), code
    except TemplateNotFound:
        return render_template("errors/500.html", message=message, code=code), code


def unavailable() -> Response:
    """Where the database or the disk fails: nothing is saved, and what was typed can be sent again."""
    if problems.is_for_program():
        headers = {"Retry-After": str(keeping.RETRY_AFTER)}
        return problems.answer(problems.Problem(503, problems.MESSAGES[503], headers=headers))
    return keeping.page(gettext(TO_REPEAT if keeping.typed() else MESSAGES[503]))


def init_app(app: Flask) -> None:
    """Answer every error with a page."""

    keeping.init_app(app)
    app.register_error_handler(problems.Problem, problems.answer)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> tuple[str, int] | Response:
        code = error.code or 500
        given = error.description if error.description != type(error).description else None
        return page(code, given or MESSAGES.get(code, MESSAGES[400 if code < 500 else 500]))

    @app.errorhandler(CSRFError)
    def stale_form(_error: CSRFError) -> tuple[str, int] | Response:
        return page(400, "The page had been open for too long. Go back, reload it, and send the form again.")

    @app.errorhandler(OverflowError)
    @app.errorhandler(DataError)
    def beyond_numbers(_error: Exception) -> tuple[str, int] | Response:
        # A number in the address that no row can have.
        return page(404, MESSAGES[404])

    @app.errorhandler(DBAPIError)
    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> tuple[str, int] | Response:
        if keeping.is_fault(error):
            log.error("Nothing could be stored or read at %s %s: %s", request.method, request.url_rule, named(error))
            return unavailable()
        # Not the path: in a customer's link it is the secret.
        log.exception("Unexpected error at %s %s", request.method, request.url_rule)
        if keeping.typed() and not problems.is_for_program():
            return keeping.page(gettext(MESSAGES[500]), 500)
        return page(500, MESSAGES[500])
