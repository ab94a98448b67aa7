"""Templates of statements to customers."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, url_for
from sqlalchemy.orm import Session

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.models import Role, Team
from feedback_loop.accounts.queries import teams
from feedback_loop.actions import statementtemplates
from feedback_loop.actions.blueprint import Reply, bp
from feedback_loop.actions.closing import OUTCOMES
from feedback_loop.actions.closingforms import TemplateForm
from feedback_loop.actions.models import Outcome, StatementTemplate
from feedback_loop.actions.wording import look
from feedback_loop.web.database import session


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
        statementtemplates.add_template(session(), form.name.data, form.text.data, Outcome(form.outcome.data), team)
        session().commit()
        flash("The template is added.")
        return redirect(url_for(".statement_templates"))
    page = render_template(
        "actions/statement_templates.html",
        form=form,
        templates=statementtemplates.templates(session()),
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
        statementtemplates.change_template(session(), row, form.name.data, form.text.data, outcome, team)
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
    statementtemplates.delete_template(session(), row)
    session().commit()
    flash("The template is gone. Statements that began with it stay as they are.")
    return redirect(url_for(".statement_templates"))
