"""Service levels; the priority and the service level of an item."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, request, url_for

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.login import me
from feedback_loop.accounts.models import Role
from feedback_loop.actions import changes
from feedback_loop.actions.blueprint import Reply, back_to, bp, item_to_work_on
from feedback_loop.actions.levels import queries, service
from feedback_loop.actions.levels.forms import WEEKDAYS, ItemLevelForm, LevelForm, PriorityForm, clock
from feedback_loop.actions.models import Priority, ServiceLevel
from feedback_loop.clock import utc_now
from feedback_loop.web.database import session, settings


@bp.route("/settings/levels", methods=["GET", "POST"])
@staff(Role.LEAD)
def service_levels() -> Reply:
    """All service levels; add one."""
    form = LevelForm(zone=settings().default_time_zone)
    if form.validate_on_submit():
        try:
            level = service.add_level(session(), form.terms, utc_now())
        except ValueError as error:
            form.name.errors = [str(error)]
        else:
            session().commit()
            flash(f"The service level {level.name} is added.")
            return redirect(url_for(".service_levels"))
    page = render_template(
        "actions/levels.html", form=form, levels=queries.levels(session()), clock=clock, weekdays=WEEKDAYS
    )
    return page, 400 if form.is_submitted() else 200


@bp.route("/settings/levels/<int:level_id>", methods=["GET", "POST"])
@staff(Role.LEAD)
def service_level(level_id: int) -> Reply:
    """Change a service level."""
    level = session().get(ServiceLevel, level_id) or abort(404)
    form = LevelForm(level=level)
    if form.validate_on_submit():
        try:
            service.change_level(session(), level, form.terms)
        except ValueError as error:
            form.name.errors = [str(error)]
        else:
            session().commit()
            flash(f"{level.name} is changed. Items that go by it are due anew in a few minutes.")
            return redirect(url_for(".service_levels"))
    page = render_template("actions/level.html", form=form, level=level)
    return page, 400 if form.is_submitted() else 200


@bp.post("/settings/levels/<int:level_id>/archive")
@staff(Role.LEAD)
def archive_level(level_id: int) -> Reply:
    """Archive a service level, or bring it back."""
    level = session().get(ServiceLevel, level_id) or abort(404)
    try:
        if request.form.get("archived") == "yes":
            service.archive_level(session(), level, utc_now())
            done = f"{level.name} is archived. Items that go by it still do."
        else:
            service.restore_level(session(), level)
            done = f"{level.name} can be chosen again."
    except ValueError as error:
        flash(str(error), "problem")
    else:
        session().commit()
        flash(done)
    return redirect(url_for(".service_levels"))


@bp.post("/settings/levels/<int:level_id>/default")
@staff(Role.LEAD)
def make_level_default(level_id: int) -> Reply:
    """Let items without a service level of their own go by this one."""
    level = session().get(ServiceLevel, level_id) or abort(404)
    try:
        service.make_default(session(), level)
    except ValueError as error:
        flash(str(error), "problem")
    else:
        session().commit()
        flash(f"{level.name} is the default now. Items without a level of their own are due by it in a few minutes.")
    return redirect(url_for(".service_levels"))


@bp.post("/actions/<int:item_id>/priority")
@staff(Role.OWNER)
def set_priority(item_id: int) -> Reply:
    """Choose the priority of an item, or leave it to the arithmetic."""
    item = item_to_work_on(item_id, lock=True)
    form = PriorityForm(item)
    if not form.validate_on_submit():
        return render_template("actions/set_priority.html", item=item, priority_form=form, meanwhile=None), 400
    if meanwhile := changes.since(session(), item, form.made_from):
        form.renew(item)
        return render_template("actions/set_priority.html", item=item, priority_form=form, meanwhile=meanwhile), 409
    if form.priority.data:
        service.set_priority(session(), item, Priority(form.priority.data), form.reason.data, me(), utc_now())
    else:
        service.leave_priority(session(), item, settings().priority_thresholds, me(), utc_now())
    session().commit()
    flash("Saved.")
    return back_to(item_id)


@bp.post("/actions/<int:item_id>/level")
@staff(Role.OWNER)
def set_level(item_id: int) -> Reply:
    """Choose the service level of an item."""
    item = item_to_work_on(item_id, lock=True)
    form = ItemLevelForm(item, levels=queries.levels(session()))
    if not form.validate_on_submit():
        return render_template("actions/set_level.html", item=item, level_form=form, meanwhile=None), 400
    if meanwhile := changes.since(session(), item, form.made_from):
        form.renew(item)
        return render_template("actions/set_level.html", item=item, level_form=form, meanwhile=meanwhile), 409
    level = session().get(ServiceLevel, int(form.level.data)) if form.level.data else None
    service.set_level(session(), item, level, me(), utc_now())
    session().commit()
    flash("Saved.")
    return back_to(item_id)
