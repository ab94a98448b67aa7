"""Lists of action items, what can be done with one, who is told, and routing rules.

The page of one item stands in `reports`: it shows what customers said of its closings, which a later step knows.
"""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.wrappers import Response

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.login import me
from feedback_loop.accounts.models import Role, Team, User
from feedback_loop.accounts.queries import possible_owners, teams
from feedback_loop.actions import queries, rules, service
from feedback_loop.actions.audience import audience
from feedback_loop.actions.forms import AssignForm, CloseForm, CommentForm, ReopenForm, RuleForm
from feedback_loop.actions.models import ActionItem, RoutingRule, Status
from feedback_loop.actions.queries import OPEN, ItemFilter
from feedback_loop.actions.transitions import WORDS, may
from feedback_loop.clock import utc_now
from feedback_loop.complaints.queries import telling
from feedback_loop.db import reading
from feedback_loop.notifications.models import NotificationState
from feedback_loop.surveys.models import Survey
from feedback_loop.surveys.queries import surveys
from feedback_loop.surveys.scales import SCALES
from feedback_loop.web.database import session, sessions, settings
from feedback_loop.web.filters import plural
from feedback_loop.web.navigation import page_number

bp = Blueprint("actions", __name__)

Reply = str | tuple[str, int] | Response
PLACEHOLDER = "(Your statement to customers will stand here.)"
STATUSES = {"open": OPEN, **{status.value: (status,) for status in Status}, "any": ()}


def back_to(item_id: int | None) -> Response:
    """To the page of an item; without one, to the routing rules."""
    return redirect(url_for("reports.item", item_id=item_id) if item_id else url_for(".routing"))


def item_to_work_on(item_id: int, own: Session | None = None) -> ActionItem:
    """The item, if the signed-in person may work on it."""
    own = own or session()
    item = queries.item(own, item_id) or abort(404)
    if not service.may_work_on(own.get_one(User, current_user.id), item):
        abort(403, "Owners work on the action items of their own team. Ask a lead to assign this one to your team.")
    return item


@bp.errorhandler(service.Refused)
def refused(error: service.Refused) -> Response:
    """A verb said no: show the item as it is now, and why."""
    flash(str(error), "problem")
    return back_to((request.view_args or {}).get("item_id"))


@bp.errorhandler(StaleDataError)
def overtaken(_error: StaleDataError) -> Response:
    """Somebody else changed the item between our reading and our writing."""
    flash(
        "Somebody else changed this at the same moment, so nothing of yours was saved. Look again, then repeat it.",
        "problem",
    )
    return back_to((request.view_args or {}).get("item_id"))


def chosen(name: str) -> int | None:
    """A number from the address, or None."""
    return request.args.get(name, type=int)


@bp.get("/actions")
@staff(Role.VIEWER)
def index() -> Reply:
    """Action items: mine, my team's, or all."""
    scope = request.args.get("scope", "")
    if scope not in ("mine", "team", "all"):
        scope = "team" if current_user.role == Role.OWNER and current_user.team_id else "all"
    status = request.args.get("status", "open")
    status = status if status in STATUSES else "open"
    wanted = ItemFilter(
        statuses=STATUSES[status],
        team_id=current_user.team_id if scope == "team" else chosen("team"),
        owner_id=current_user.id if scope == "mine" else chosen("owner"),
        overdue=bool(request.args.get("overdue")),
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
    service.take_on(session(), item_to_work_on(item_id), me(), utc_now())
    session().commit()
    flash("It is yours now. Close it when you know what to tell the people who wait.")
    return back_to(item_id)


@bp.post("/actions/<int:item_id>/comments")
@staff(Role.OWNER)
def comment(item_id: int) -> Reply:
    """Write into the history."""
    item, form = item_to_work_on(item_id), CommentForm()
    if not form.validate_on_submit():
        return render_template("actions/comment.html", item=item, comment_form=form), 400
    service.add_comment(session(), item, form.comment.data, me(), utc_now())
    session().commit()
    return redirect(url_for("reports.item", item_id=item_id, _anchor="history"))


@bp.post("/actions/<int:item_id>/assignment")
@staff(Role.OWNER)
def assign(item_id: int) -> Reply:
    """Say whose it is and by when."""
    item = item_to_work_on(item_id)
    form = AssignForm(item, teams=teams(session()), owners=possible_owners(session()))
    if form.validate_on_submit():
        now, user = utc_now(), me()
        owner = session().get(User, int(form.owner.data)) if form.owner.data else None
        try:
            service.assign(session(), item, session().get_one(Team, int(form.team.data)), owner, user, now)
            service.set_due(session(), item, form.due_at, user, now)
        except service.Refused as error:
            form.owner.errors = [str(error)]
        else:
            session().commit()
            flash("Saved.")
            return back_to(item_id)
    return render_template("actions/assign.html", item=item, assign_form=form), 400


@bp.route("/actions/<int:item_id>/close", methods=["GET", "POST"])
@staff(Role.OWNER)
def close(item_id: int) -> Reply:
    """Close an item: say what was done, what caused it, and what customers read."""
    # The form may be long at work on a bad or merely previewed closing; only a good one opens a session that writes.
    form = CloseForm()
    is_preview = "preview" in request.form
    if form.is_submitted() and not is_preview and form.validate():
        item, now = item_to_work_on(item_id), utc_now()
        closure = service.close(session(), item, form.closing(), me(), now, settings())
        told = queries.telling(session(), closure).pending
        session().commit()
        flash(after_closing(told))
        return back_to(item_id)
    with reading(sessions()) as own:
        item = item_to_work_on(item_id, own)
        if refusal := may(item.status, "close"):
            raise service.Refused(refusal)
        page = render_template(
            "actions/close.html",
            form=form,
            item=item,
            audience=audience(own, item),
            statements=telling(own, item.complaint_id),
            scales=SCALES,
            mail=service.preview(own, item, form.closing(PLACEHOLDER), settings()),
        )
    return page, 400 if form.is_submitted() and not is_preview else 200


@bp.post("/actions/<int:item_id>/close/preview")
@staff(Role.OWNER)
def preview(item_id: int) -> Reply:
    """The mail as one of them will read it, while the statement is being typed."""
    with reading(sessions()) as own:
        mail = service.preview(own, item_to_work_on(item_id, own), CloseForm().closing(PLACEHOLDER), settings())
    return render_template("actions/parts/mail.html", mail=mail)


def after_closing(told: int) -> str:
    """What is said after closing: who is told, and until when it can be undone."""
    if not told:
        return "Closed. Nobody can be told: they left no address, or asked for no mail."
    hold = settings().hold_minutes
    people = plural(told, "person", "people")
    if not hold:
        return f"Closed. {people} will be told, beginning now."
    minutes = plural(hold, "minute", "minutes")
    return f"Closed. {people} will be told, beginning in {minutes}. Until then you can take it back."


@bp.route("/actions/<int:item_id>/reopen", methods=["GET", "POST"])
@staff(Role.OWNER)
def reopen(item_id: int) -> Reply:
    """Take a closing back, with a reason."""
    item, form = item_to_work_on(item_id), ReopenForm()
    if form.validate_on_submit():
        service.reopen(session(), item, form.reason.data, me(), utc_now())
        session().commit()
        flash("It is open again.")
        return back_to(item_id)
    if refusal := may(item.status, "reopen"):
        raise service.Refused(refusal)
    closure = service.latest_closure(session(), item)
    assert closure is not None  # the table of transitions reopens only what was closed
    page = render_template("actions/reopen.html", item=item, form=form, telling=queries.telling(session(), closure))
    return page, 400 if form.is_submitted() else 200


@bp.get("/actions/<int:item_id>/notifications")
@staff(Role.VIEWER)
def notifications(item_id: int) -> Reply:
    """Who was told, who waits, and who is not told and why."""
    item = queries.item(session(), item_id) or abort(404)
    closures = queries.closures(session(), item)
    number = request.args.get("closing", closures[0].number if closures else 0, type=int)
    closure = next((each for each in closures if each.number == number), None) or abort(404)
    asked = request.args.get("state", "")
    state = NotificationState(asked) if asked in list(NotificationState) else None
    return render_template(
        "actions/notifications.html",
        item=item,
        closure=closure,
        closures=closures,
        state=state,
        telling=queries.telling(session(), closure),
        page=queries.notifications(session(), closure, state, page_number()),
    )


@bp.route("/settings/routing", methods=["GET", "POST"])
@staff(Role.LEAD)
def routing() -> Reply:
    """Routing rules; add one."""
    form = RuleForm(teams=teams(session()), surveys=surveys(session()))
    if form.validate_on_submit():
        survey = session().get(Survey, int(form.survey.data)) if form.survey.data else None
        try:
            rules.add_rule(session(), form.keyword.data or "", survey, session().get_one(Team, int(form.team.data)))
        except ValueError as error:
            form.keyword.errors = [str(error)]
        else:
            session().commit()
            flash("The rule is added. It is asked after all others.")
            return redirect(url_for(".routing"))
    page = render_template("actions/routing.html", form=form, rules=queries.rules(session()))
    return page, 400 if form.is_submitted() else 200


@bp.post("/settings/routing/<int:rule_id>/move")
@staff(Role.LEAD)
def move_rule(rule_id: int) -> Reply:
    """Let a rule be asked earlier or later."""
    rule = session().get(RoutingRule, rule_id) or abort(404)
    rules.move_rule(session(), rule, -1 if request.form.get("step") == "up" else 1)
    session().commit()
    return redirect(url_for(".routing"))


@bp.post("/settings/routing/<int:rule_id>/delete")
@staff(Role.LEAD)
def delete_rule(rule_id: int) -> Reply:
    """Take a rule away."""
    rule = session().get(RoutingRule, rule_id) or abort(404)
    rules.delete_rule(session(), rule)
    session().commit()
    flash("The rule is gone. Items it has routed stay where they are.")
    return redirect(url_for(".routing"))
