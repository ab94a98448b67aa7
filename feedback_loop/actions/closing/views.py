"""Closing an item, taking that back, and who was told; and the texts with which statements begin."""

from __future__ import annotations

from functools import partial

from flask import abort, flash, redirect, render_template, request, url_for
from sqlalchemy.orm import Session

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.login import me
from feedback_loop.accounts.models import Role, Team
from feedback_loop.accounts.queries import teams
from feedback_loop.actions import queries, service
from feedback_loop.actions.audience.counting import audience
from feedback_loop.actions.blueprint import Reply, back_to, bp, item_to_work_on
from feedback_loop.actions.changes import since
from feedback_loop.actions.closing import queries as closing_queries
from feedback_loop.actions.closing import service as closing
from feedback_loop.actions.closing import templates
from feedback_loop.actions.closing.forms import CloseForm, TemplateForm
from feedback_loop.actions.closing.models import StatementTemplate
from feedback_loop.actions.closing.service import OUTCOMES
from feedback_loop.actions.closing.wording import look
from feedback_loop.actions.details.checklist import checklist
from feedback_loop.actions.forms import ReopenForm, VersionedForm
from feedback_loop.actions.models import ActionItem, Outcome
from feedback_loop.actions.queries import run_of
from feedback_loop.actions.transitions import may
from feedback_loop.clock import utc_now
from feedback_loop.complaints.evidence import by_id
from feedback_loop.complaints.queries import complaint_by_number, surviving, telling
from feedback_loop.db import reading
from feedback_loop.notifications.standing import Standing, standing
from feedback_loop.surveys.scales import SCALES
from feedback_loop.web.database import session, sessions, settings
from feedback_loop.web.navigation import page_number

PLACEHOLDER = "(Your statement to customers will stand here.)"
NEIGHBOURS = 8


@bp.route("/actions/<int:item_id>/close", methods=["GET", "POST"])
@staff(Role.OWNER)
def close(item_id: int) -> Reply:
    """Close an item: say how it ends, and what customers read."""
    # The form may be long at work on a bad or merely previewed closing; only a good one opens a session that writes.
    with reading(sessions()) as own:
        form = CloseForm(
            templates=templates.templates(own, item_to_work_on(item_id, own).team_id),
            done=request.args.get("done", "")[:500],  # links from elsewhere may begin it
        )
    is_meant = form.is_submitted() and "preview" not in request.form and "begin" not in request.form
    if is_meant and form.validate() and not is_overtaken(item_id, form):
        done = closed(item_id, form)
        if done is not None:
            return done
    if "begin" in request.form:
        form.begin_with_template()
    with reading(sessions()) as own:
        item = item_to_work_on(item_id, own)
        meanwhile = since(own, item, form.made_from) if is_meant else []
        refusal = may(item.status, "close")
        if refusal and not meanwhile:
            raise service.Refused(refusal)
        if meanwhile or not form.is_submitted():
            form.renew(item)
        page = render_template(
            "actions/close.html",
            form=form,
            item=item,
            meanwhile=meanwhile,
            refusal=refusal,
            left=checklist(own, item).open,
            audience=audience(own, item),
            statements=telling(own, item.complaint),
            scales=SCALES,
            mail=closing.preview(own, item, form.closing(PLACEHOLDER), settings()),
            findings=look(form.statement.data or ""),
            neighbours=neighbours(own, item),
        )
    return page, 409 if meanwhile else 400 if is_meant else 200


def is_overtaken(item_id: int, form: VersionedForm) -> bool:
    """Whether somebody else changed the item since the form was made; if not, nobody can until this one has."""
    item = item_to_work_on(item_id, lock=True)
    if not since(session(), item, form.made_from):
        return False
    session().rollback()
    return True


def closed(item_id: int, form: CloseForm) -> Reply | None:
    """Close the item as the form says, or note in the form why that cannot be."""
    item, other_id = item_to_work_on(item_id), None
    if form.outcome.data == Outcome.DUPLICATE.value:
        found = complaint_by_number(session(), form.complaint_number or 0)
        other = queries.item_of(session(), surviving(session(), found)) if found else None
        if other is None:
            form.duplicate_of.errors = [f"There is no action item of a complaint {form.duplicate_of.data}."]
            session().rollback()
            return None
        other_id = other.id
    try:
        closure = closing.close(session(), item, form.closing(duplicate_of_id=other_id), me(), utc_now(), settings())
    except service.Refused as error:
        session().rollback()
        if other_id is None or may(item_to_work_on(item_id).status, "close"):
            raise
        session().rollback()
        form.duplicate_of.errors = [str(error)]
        return None
    is_reviewed = run_of(session(), closure) is not None
    session().commit()
    if not is_reviewed:
        flash("Closed as a duplicate. Its people are told when the other one is closed.")
        return back_to(item_id)
    flash("Closed. Nothing is sent yet: look at who will be told, then send it.")
    return redirect(url_for(".run", item_id=item_id))


def neighbours(own: Session, item: ActionItem) -> list[tuple[str, str]]:
    """The nearest other complaints, by number and name: of them it is a duplicate most likely."""
    ids = [int(number) for number, *_ in item.complaint.neighbours[:NEIGHBOURS]]
    found = by_id(own, ids)
    return [(found[id].number, found[id].name) for id in ids if id in found and id != item.complaint_id]


@bp.post("/actions/<int:item_id>/close/preview")
@staff(Role.OWNER)
def preview(item_id: int) -> Reply:
    """The mail as one of them will read it, and advice on its words, while the statement is being typed."""
    form = CloseForm()
    with reading(sessions()) as own:
        mail = closing.preview(own, item_to_work_on(item_id, own), form.closing(PLACEHOLDER), settings())
    return render_template("actions/parts/mail.html", mail=mail, findings=look(form.statement.data or ""), is_part=True)


@bp.route("/actions/<int:item_id>/reopen", methods=["GET", "POST"])
@staff(Role.OWNER)
def reopen(item_id: int) -> Reply:
    """Take a closing back, with a reason."""
    item = item_to_work_on(item_id, lock=request.method == "POST")
    form, meanwhile = ReopenForm(item), None
    if form.validate_on_submit():
        meanwhile = since(session(), item, form.made_from)
        if not meanwhile:
            service.reopen(session(), item, form.reason.data, me(), utc_now())
            session().commit()
            flash("It is open again.")
            return back_to(item_id)
        form.renew(item)
    refusal = may(item.status, "reopen")
    if refusal and not meanwhile:
        raise service.Refused(refusal)
    closure = service.latest_closure(session(), item)
    assert closure is not None  # the table of transitions reopens only what was closed
    page = render_template(
        "actions/reopen.html",
        item=item,
        form=form,
        meanwhile=meanwhile,
        refusal=refusal,
        telling=closing_queries.telling(session(), closure),
    )
    return page, 409 if meanwhile else 400 if form.is_submitted() else 200


@bp.get("/actions/<int:item_id>/notifications")
@staff(Role.VIEWER)
def notifications(item_id: int) -> Reply:
    """Who was told, who waits, and who is not told and why."""
    item = queries.item(session(), item_id) or abort(404)
    closures = queries.closures(session(), item)
    number = request.args.get("closing", closures[0].number if closures else 0, type=int)
    closure = next((each for each in closures if each.number == number), None) or abort(404)
    asked = request.args.get("state", "")
    where, now = Standing(asked) if asked in list(Standing) else None, utc_now()
    return render_template(
        "actions/notifications.html",
        item=item,
        closure=closure,
        closures=closures,
        where=where,
        telling=closing_queries.telling(session(), closure),
        page=closing_queries.notifications(session(), closure, where, page_number(), now),
        standing=partial(standing, now=now),
    )


def team_of(own: Session, form: TemplateForm) -> Team | None:
    """The team chosen; None for every team."""
    return own.get(Team, int(form.team.data)) if form.team.data else None


@bp.route("/settings/statements", methods=["GET", "POST"])
@staff(Role.LEAD)
def statement_templates() -> Reply:
    """All templates; add one."""
    form = TemplateForm(teams=teams(session()))
    if form.validate_on_submit():
        team = team_of(session(), form)
        templates.add_template(session(), form.name.data, form.text.data, Outcome(form.outcome.data), team)
        session().commit()
        flash("The template is added.")
        return redirect(url_for(".statement_templates"))
    page = render_template(
        "actions/statement_templates.html",
        form=form,
        templates=templates.templates(session()),
        outcomes=OUTCOMES,
    )
    return page, 400 if form.is_submitted() else 200


@bp.route("/settings/statements/<int:template_id>", methods=["GET", "POST"])
@staff(Role.LEAD)
def statement_template(template_id: int) -> Reply:
    """Change a template."""
    row = session().get(StatementTemplate, template_id) or abort(404, "There is no such template.")
    given = {"name": row.name, "text": row.text, "outcome": row.outcome.value, "team": str(row.team_id or "")}
    form = TemplateForm(teams=teams(session()), data=given)
    if form.validate_on_submit():
        team, outcome = team_of(session(), form), Outcome(form.outcome.data)
        templates.change_template(session(), row, form.name.data, form.text.data, outcome, team)
        session().commit()
        flash("Saved.")
        return redirect(url_for(".statement_templates"))
    page = render_template(
        "actions/statement_template.html", form=form, template=row, findings=look(form.text.data or "")
    )
    return page, 400 if form.is_submitted() else 200


@bp.post("/settings/statements/<int:template_id>/delete")
@staff(Role.LEAD)
def delete_statement_template(template_id: int) -> Reply:
    """Take a template away."""
    row = session().get(StatementTemplate, template_id) or abort(404, "There is no such template.")
    templates.delete_template(session(), row)
    session().commit()
    flash("The template is gone. Statements that began with it stay as they are.")
    return redirect(url_for(".statement_templates"))
