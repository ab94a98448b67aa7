"""The blueprint, and what its pages share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.wrappers import Response

from feedback_loop.accounts.login import me
from feedback_loop.accounts.models import User
from feedback_loop.actions import changes, queries, service
from feedback_loop.actions.models import ActionEvent, ActionItem
from feedback_loop.actions.transitions import may
from feedback_loop.clock import utc_now
from feedback_loop.web.database import session

bp = Blueprint("actions", __name__)

Reply = str | tuple[str, int] | Response


def back_to(item_id: int | None) -> Response:
    """To the page of an item; without one, to the routing rules."""
    if item_id and "/run" in request.path:
        return redirect(url_for(".run", item_id=item_id))
    return redirect(url_for("reports.item", item_id=item_id) if item_id else url_for(".routing"))


def item_to_work_on(item_id: int, own: Session | None = None, lock: bool = False) -> ActionItem:
    """The item, if the signed-in person may work on it.

    Args:
        own: Where to read it; the request's session without one.
        lock: Whether it is about to be changed: see `queries.item`.
    """
    own = own or session()
    item = queries.item(own, item_id, lock) or abort(404)
    if not service.may_work_on(own.get_one(User, current_user.id), item):
        abort(403, "Owners work on the action items of their own team. Ask a lead to assign this one to your team.")
    return item


def press(
    item_id: int, verb: str, does: Callable[[Session, ActionItem, User, datetime], None], label: str, said: str
) -> Reply:
    """Do what a button says, unless somebody else changed the item after the page with the button was made.

    Args:
        verb: Its name in the table of transitions.
        does: The verb of the service.
        label: What the button says.
        said: What is said when it is done.
    """
    item = item_to_work_on(item_id, lock=True)
    if meanwhile := changes.since(session(), item, request.form.get("version", type=int)):
        return overtaken_page(item, meanwhile, label, may(item.status, verb))
    does(session(), item, me(), utc_now())
    session().commit()
    flash(said)
    return back_to(item_id)


def overtaken_page(item: ActionItem, meanwhile: Sequence[ActionEvent], label: str, refusal: str) -> Reply:
    """What somebody else changed, and the button once more where it still does something."""
    page = render_template("actions/overtaken.html", item=item, meanwhile=meanwhile, label=label, refusal=refusal)
    return page, 409


@bp.errorhandler(service.Refused)
def refused(error: service.Refused) -> Response:
    """A verb said no: show the item as it is now, and why."""
    flash(str(error), "problem")
    reply = back_to((request.view_args or {}).get("item_id"))
    if request.headers.get("HX-Request"):
        return Response(status=204, headers={"HX-Redirect": reply.location})  # the whole page, not a part of it
    return reply


@bp.errorhandler(StaleDataError)
def overtaken(_error: StaleDataError) -> Response:
    """Somebody else changed the item between our reading and our writing."""
    flash(
        "Somebody else changed this at the same moment, so nothing of yours was saved. Look again, then repeat it.",
        "problem",
    )
    return back_to((request.view_args or {}).get("item_id"))
