"""Lists of action items, and the verbs on one. The other pages of the domain stand beside their verbs.

The page of one item stands in `reports`: it shows what customers said of its closings, which a later step knows.
"""

from __future__ import annotations

from collections.abc import Sequence

from flask import flash, redirect, render_template, request, url_for
from flask_login import current_user

# What else hangs pages on the blueprint.
import feedback_loop.actions.closing.views
import feedback_loop.actions.colleagues.views
import feedback_loop.actions.details.views
import feedback_loop.actions.levels.views
import feedback_loop.actions.routing.views
import feedback_loop.actions.runs.views
import feedback_loop.actions.triage.views  # noqa: F401
from feedback_loop.accounts.access import staff
from feedback_loop.accounts.login import me
from feedback_loop.accounts.models import Role, Team, User
from feedback_loop.accounts.queries import active_people, possible_owners, teams
from feedback_loop.actions import changes, queries, service
from feedback_loop.actions.blueprint import Reply, back_to, bp, item_to_work_on, press
from feedback_loop.actions.forms import AssignForm, CommentForm, WaitForm
from feedback_loop.actions.mentions import Person, suggestions
from feedback_loop.actions.models import Status
from feedback_loop.actions.queries import OPEN, ItemFilter
from feedback_loop.actions.transitions import WORDS, may
from feedback_loop.clock import utc_now
from feedback_loop.web.database import session
from feedback_loop.web.navigation import page_number

STATUSES = {"open": OPEN, **{status.value: (status,) for status in Status}, "any": ()}
SCOPES = ("mine", "team", "watching", "all")
MENTIONS_NAMED = 5


def chosen(name: str) -> int | None:
    """A number from the address, or None."""
    return request.args.get(name, type=int)


@bp.get("/actions")
@staff(Role.VIEWER)
def index() -> Reply:
    """Action items: mine, my team's, those I watch, or all."""
    scope = request.args.get("scope", "")
    if scope not in SCOPES:
        scope = "team" if current_user.role == Role.OWNER and current_user.team_id else "all"
    status = request.args.get("status", "open")
    status = status if status in STATUSES else "open"
    wanted = ItemFilter(
        statuses=STATUSES[status],
        team_id=current_user.team_id if scope == "team" else chosen("team"),
        owner_id=current_user.id if scope == "mine" else chosen("owner"),
        overdue=bool(request.args.get("overdue")),
        watcher_id=current_user.id if scope == "watching" else None,
    )
    page = queries.items(session(), wanted, utc_now(), page_number())
    return render_template(
        "actions/index.html",
        page=page,
        scope=scope,
        status=status,
        words=WORDS,
        wanted=wanted,
        teams=teams(session()),
        owners=possible_owners(session()),
        has_items=bool(page.total) or queries.any_item(session()),
    )


@bp.post("/actions/<int:item_id>/take-on")
@staff(Role.OWNER)
def take_on(item_id: int) -> Reply:
    """Begin work."""
    said = "It is yours now. Close it when you know what to tell the people who wait."
    return press(item_id, "take_on", service.take_on, "Take it on", said)


@bp.post("/actions/<int:item_id>/go-on")
@staff(Role.OWNER)
def go_on(item_id: int) -> Reply:
    """Go on with what has waited."""
    return press(item_id, "go_on", service.go_on, "Go on with it", "It is being worked on again.")


@bp.route("/actions/<int:item_id>/wait", methods=["GET", "POST"])
@staff(Role.OWNER)
def wait(item_id: int) -> Reply:
    """Say what it waits for."""
    item = item_to_work_on(item_id, lock=request.method == "POST")
    form, meanwhile = WaitForm(item), None
    if form.validate_on_submit():
        meanwhile = changes.since(session(), item, form.made_from)
        if not meanwhile:
            service.wait(session(), item, form.what_for.data, me(), utc_now())
            session().commit()
            flash("It waits now. The time until somebody goes on does not count against its due date.")
            return back_to(item_id)
        form.renew(item)
    refusal = may(item.status, "wait")
    if refusal and not meanwhile:
        raise service.Refused(refusal)
    page = render_template("actions/wait.html", item=item, form=form, meanwhile=meanwhile, refusal=refusal)
    return page, 409 if meanwhile else 400 if form.is_submitted() else 200


@bp.post("/actions/<int:item_id>/comments")
@staff(Role.OWNER)
def comment(item_id: int) -> Reply:
    """Write into the history."""
    item, form = item_to_work_on(item_id), CommentForm()
    if not form.validate_on_submit():
        colleagues = active_people(session())
        handles = suggestions([Person(each.id, each.name, each.email) for each in colleagues])
        page = render_template(
            "actions/comment.html", item=item, comment_form=form, colleagues=colleagues, handles=handles
        )
        return page, 400
    mentioned = service.add_comment(session(), item, form.comment.data, me(), utc_now())
    session().commit()
    if mentioned.unknown:
        flash(f"Nobody here is called {named(mentioned.unknown)}. The comment stands as you wrote it.", "problem")
    if mentioned.several:
        flash(
            f"Several people are meant by {named(mentioned.several)}, so none of them was told. "
            'Write the whole name, as in @"Omar Said", or what stands before the @ of the mail address.',
            "problem",
        )
    return redirect(url_for("reports.item", item_id=item_id, _anchor="history"))


def named(written: Sequence[str]) -> str:
    """Mentions, as they were written."""
    return ", ".join(f"“@{each}”" for each in written[:MENTIONS_NAMED])


@bp.post("/actions/<int:item_id>/assignment")
@staff(Role.OWNER)
def assign(item_id: int) -> Reply:
    """Say whose it is and by when."""
    item, meanwhile = item_to_work_on(item_id, lock=True), None
    form = AssignForm(item, teams=teams(session()), owners=possible_owners(session()))
    if form.validate_on_submit():
        now, user = utc_now(), me()
        owner = session().get(User, int(form.owner.data)) if form.owner.data else None
        meanwhile = changes.since(session(), item, form.made_from)
        if meanwhile:
            form.renew(item)
            return render_template("actions/assign.html", item=item, assign_form=form, meanwhile=meanwhile), 409
        why, seen = form.why.data or "", item.version
        try:
            service.assign(session(), item, session().get_one(Team, int(form.team.data)), owner, user, now, why)
        except service.Refused as error:
            form.owner.errors = [str(error)]
            return render_template("actions/assign.html", item=item, assign_form=form, meanwhile=None), 400
        try:
            service.set_due(session(), item, form.due_at, user, now, why)
        except service.Refused as error:
            session().rollback()
            form.due.errors = [str(error)]
        else:
            if why and item.version == seen:
                form.why.errors = ["Nothing else is changed. Write this as a comment instead."]
                return render_template("actions/assign.html", item=item, assign_form=form, meanwhile=None), 400
            session().commit()
            flash("Saved.")
            return back_to(item_id)
    return render_template("actions/assign.html", item=item, assign_form=form, meanwhile=meanwhile), 400
