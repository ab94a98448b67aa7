"""Errors as pages that say what to do, in the layout of whoever meets them; for programs, as problem+json."""

from __future__ import annotations

import logging

from flask import Flask, Response, render_template, request
from flask_babel import gettext
from flask_wtf.csrf import CSRFError
from jinja2 import TemplateNotFound
from sqlalchemy.exc import DataError, OperationalError
from werkzeug.exceptions import HTTPException

from feedback_loop.languages import to_translate as _
from feedback_loop.web import problems

log = logging.getLogger(__name__)

# Of those marked for the catalogues, customers meet all; what they meet on their pages speaks their language.
MESSAGES = {
    400: _("The form could not be read. Please go back and send it again."),
    403: "You are signed in, but your role does not include this page. Ask an admin if you need it.",
    404: _("There is nothing at this address. A link may have been cut off in the mail: please copy it whole."),
    405: _("This address cannot be used in this way."),
    410: _("This is over."),
    413: _("What was sent is too large."),
    500: _("Something went wrong on our side. It has been written down; please try again in a minute."),
    503: _("The site is very busy just now. Nothing was saved; please try again in a minute."),
}


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


def init_app(app: Flask) -> None:
    """Answer every error with a page."""

    app.register_error_handler(problems.Problem, problems.answer)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> tuple[str, int] | Response:
        code = error.code or 500
        given = error.description if error.description != type(error).description else None
        return page(code, given or MESSAGES.get(code, MESSAGES[400 if code < 500 else 500]))

    @app.errorhandler(CSRFError)
    def stale_form(_error: CSRFError) -> tuple[str, int] | Response:
        return page(400, "The page had been open for too long. Go back, reload it, and send the form again.")

    @app.errorhandler(OperationalError)
    def database_error(error: OperationalError) -> tuple[str, int] | Response:
        log.error("The database did not answer %s %s: %s", request.method, request.url_rule, error)
        return page(503, MESSAGES[503])

    @app.errorhandler(OverflowError)
    @app.errorhandler(DataError)
    def beyond_numbers(_error: Exception) -> tuple[str, int] | Response:
        # A number in the address that no row can have.
        return page(404, MESSAGES[404])

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> tuple[str, int] | Response:
        # Not the path: in a customer's link it is the secret.
        log.exception("Unexpected error at %s %s", request.method, request.url_rule)
        return page(500, MESSAGES[500])
