"""From an action item: ask for an issue in a tracker."""

from __future__ import annotations

import secrets

from flask import abort, flash, redirect, render_template, url_for
from werkzeug.wrappers import Response

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.login import me
from feedback_loop.accounts.models import Role
from feedback_loop.actions import queries as action_queries
from feedback_loop.actions.models import ActionItem
from feedback_loop.actions.service import may_work_on
from feedback_loop.clock import utc_now
from feedback_loop.complaints.queries import telling
from feedback_loop.integrations import queries
from feedback_loop.integrations.forms import IssueForm
from feedback_loop.integrations.models import Tracker, TrackerIssue
from feedback_loop.integrations.service import Refused
from feedback_loop.integrations.trackers import service
from feedback_loop.integrations.views.blueprint import Reply, bp
from feedback_loop.web.database import session, settings


def own_item(item_id: int) -> ActionItem:
    """The item, if the signed-in person may work on it."""
    item = action_queries.item(session(), item_id) or abort(404, "There is no such action item.")
    if not may_work_on(me(), item):
        abort(403, "Owners work on the action items of their own team. Ask a lead to assign this one to your team.")
    return item


def back_to(item: ActionItem) -> Response:
    """To the page of an item."""
    return redirect(url_for("reports.item", item_id=item.id, _anchor="issues"))


@bp.route("/actions/<int:item_id>/issue", methods=["GET", "POST"])
@staff(Role.OWNER)
def issue(item_id: int) -> Reply:
    """Ask for an issue, with a text that is proposed and can be changed."""
    item = own_item(item_id)
    trackers = queries.trackers_for(session(), item)
    title, body = service.draft_of(item, telling(session(), item.complaint, service.QUOTED), settings())
    form = IssueForm(trackers=trackers, title=title, body=body, marker=secrets.token_hex(16))
    if form.validate_on_submit():
        tracker = session().get_one(Tracker, int(form.tracker.data))
        try:
            service.ask_for_issue(
                session(), item, tracker, form.title.data, form.body.data, form.marker.data or "", me(), utc_now()
            )
        except Refused as error:
            form.tracker.errors = [str(error)]
        else:
            session().commit()
            flash(f"An issue in {tracker.name} is being made. Its link appears here in a few seconds.")
            return back_to(item)
    page = render_template(
        "integrations/issue.html",
        item=item,
        form=form,
        trackers=trackers,
        issues=queries.issues_of(session(), item),
        names=service.NAMES,
    )
    return page, 400 if form.is_submitted() else 200


@bp.post("/actions/<int:item_id>/issue/<int:issue_id>/again")
@staff(Role.OWNER)
def issue_again(item_id: int, issue_id: int) -> Reply:
    """Try once more to make an issue that failed."""
    item = own_item(item_id)
    row = session().get(TrackerIssue, issue_id)
    if row is None or row.action_item_id != item.id:
        abort(404, "There is no such issue.")
    try:
        service.try_again(row, utc_now())
    except Refused as error:
        flash(str(error), "problem")
    else:
        session().commit()
        flash("It is tried again now.")
    return back_to(item)
