"""Searching what was said by its meaning. The page writes a search down and waits; a worker answers it."""

from __future__ import annotations

from flask import abort, redirect, render_template, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.login import me
from feedback_loop.accounts.models import Role, User
from feedback_loop.clock import utc_now
from feedback_loop.complaints import results
from feedback_loop.complaints.models import Search, SearchState, Statement
from feedback_loop.complaints.service import searching
from feedback_loop.complaints.views.blueprint import bp
from feedback_loop.db import reading
from feedback_loop.surveys.scales import SCALES
from feedback_loop.web import limits
from feedback_loop.web.database import session, sessions, settings

TOO_MANY = "You have searched 30 times within a minute. Wait a minute, then search again."

Reply = str | tuple[str, int] | Response


@bp.get("/complaints/search")
@staff(Role.VIEWER)
def search() -> Reply:
    """Where to search, and how."""
    return search_page()


def search_page(text: str = "", error: str = "", status: int = 200) -> Reply:
    """The page with the search box."""
    with reading(sessions()) as own:
        return render_template(
            "complaints/search.html",
            text=text,
            error=error,
            ideas=results.ideas(own),
            recent=results.recent(own, current_user.id),
        ), status


@bp.post("/complaints/search")
@staff(Role.VIEWER)
def begin_search() -> Reply:
    """Write a search down."""
    text = request.form.get("text", "")
    if not limits.count(limits.SEARCHES, str(current_user.id)):
        return search_page(text.strip(), TOO_MANY, 429)
    try:
        found = searching.ask(session(), text, me(), utc_now(), settings().phone_region or None)
    except searching.Refused as error:
        session().rollback()
        return search_page(text.strip(), str(error), 400)
    session().commit()
    return redirect(url_for(".searched", search_id=found.id), 303)


@bp.post("/complaints/statements/<int:statement_id>/like")
@staff(Role.VIEWER)
def like(statement_id: int) -> Reply:
    """Search for others like one statement."""
    statement = session().get(Statement, statement_id) or abort(
        404, "This statement is gone: who said it has changed or taken back the answer."
    )
    if not limits.count(limits.SEARCHES, str(current_user.id)):
        return search_page(error=TOO_MANY, status=429)
    found = searching.ask_like(session(), statement, me(), utc_now())
    session().commit()
    return redirect(url_for(".searched", search_id=found.id), 303)


@bp.get("/complaints/search/<int:search_id>")
@staff(Role.VIEWER)
def searched(search_id: int) -> Reply:
    """What a search found, or that it is still being looked for."""
    found = session().get(Search, search_id)
    if found is None:
        return search_page(error="This search is gone: searches are kept for a day. Search again.", status=404)
    now, is_done = utc_now(), found.state == SearchState.DONE
    values = {
        "search": found,
        "wait": results.wait(found, now),
        "is_watched": results.is_watched(found, now),
        "results": results.results(session(), found, request.args.get("place", "")) if is_done else None,
        "scales": SCALES,
    }
    if request.headers.get("HX-Request"):
        if values["is_watched"] and request.args.get("wait") == values["wait"]:
            return "", 204  # nothing has changed: what stands there keeps the focus, and is not read out again
        return render_template("complaints/parts/results.html", **values)
    return render_template(
        "complaints/searched.html",
        by=session().get_one(User, found.by_id),
        like=results.origin(session(), found),
        blanked=searching.without_placeholders(found.text) != found.text,
        **values,
    )
