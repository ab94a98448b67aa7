"""The notification run of a closing: its review, its people, its release, its progress."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.login import me
from feedback_loop.accounts.models import Role
from feedback_loop.actions import queries, service
from feedback_loop.actions.audience.choosing import FINAL, REASONS, Reason
from feedback_loop.actions.blueprint import Reply, bp, item_to_work_on
from feedback_loop.actions.closing.service import rendered
from feedback_loop.actions.closing.wording import look
from feedback_loop.actions.models import ActionItem, NotificationRun, RunState
from feedback_loop.actions.runs import queries as runqueries
from feedback_loop.actions.runs import service as runs
from feedback_loop.actions.runs.forms import AddPersonForm, StatementForm
from feedback_loop.clock import utc_now
from feedback_loop.db import clean_text
from feedback_loop.notifications.standing import standing
from feedback_loop.web.database import session, settings
from feedback_loop.web.filters import plural
from feedback_loop.web.navigation import page_number

NO_RUN = "This closing tells nobody by itself, so there is nothing to review."


def run_to_show(item_id: int) -> tuple[ActionItem, NotificationRun]:
    """The run of an address, for whoever reads."""
    item = queries.item(session(), item_id) or abort(404, "There is no such action item.")
    number = request.args.get("closing", type=int)
    return item, runqueries.run_of_item(session(), item, number) or abort(404, NO_RUN)


def run_to_change(item_id: int) -> NotificationRun:
    """The run of an item's newest closing, if the signed-in person may work on the item."""
    item = item_to_work_on(item_id)
    return runqueries.run_of_item(session(), item) or abort(404, NO_RUN)


def back(item_id: int) -> Response:
    """To the page of the run."""
    return redirect(url_for(".run", item_id=item_id))


@bp.get("/actions/<int:item_id>/run")
@staff(Role.VIEWER)
def run(item_id: int) -> Reply:
    """Who gets what? Before it is released a review, afterwards how far it is."""
    return run_page(*run_to_show(item_id))


def run_page(
    item: ActionItem, found: NotificationRun, form: StatementForm | None = None, add_form: AddPersonForm | None = None
) -> str:
    """The page of a run, as it stands."""
    now = utc_now()
    review = runqueries.review(session(), found)
    progress = runqueries.progress(session(), found)
    state = runqueries.standing(found, now, progress)
    person = None
    if state in (RunState.REVIEW, RunState.APPROVAL, RunState.HELD):
        person = runqueries.some_person(session(), found, review.told, at_random="another" in request.args)
    form = form or StatementForm(found.closure)
    return render_template(
        "actions/run.html",
        item=item,
        run=found,
        closure=found.closure,
        state=state.value,
        review=review,
        progress=progress,
        reasons=REASONS,
        may_work=service.may_work_on(me(), item),
        not_approver=runs.may_approve(me(), found),
        needs_approval=runs.needs_approval(review.told, settings()),
        seen=runs.as_seen(session(), found) if state in (RunState.REVIEW, RunState.APPROVAL) else "",
        person=person,
        mail=rendered(person, found.closure, settings()) if person else None,
        form=form,
        findings=look(form.statement.data or ""),
        add_form=add_form or AddPersonForm(),
        is_watched=state in (RunState.HELD, RunState.SENDING),
    )


@bp.post("/actions/<int:item_id>/run/statement")
@staff(Role.OWNER)
def change_statement(item_id: int) -> Reply:
    """Change what customers will read."""
    found = run_to_change(item_id)
    form = StatementForm(found.closure)
    if not form.validate():
        return run_page(found.closure.action_item, found, form=form), 400
    runs.change_statement(session(), found, form.statement.data, me(), utc_now())
    session().commit()
    flash("The statement is changed.")
    return back(item_id)


@bp.post("/actions/<int:item_id>/run/release")
@staff(Role.OWNER)
def release(item_id: int) -> Reply:
    """Say that it may be sent, to as many as the button said."""
    found = run_to_change(item_id)
    told = runs.release(session(), found, me(), utc_now(), settings(), request.form.get("seen", ""))
    state = found.state
    session().commit()
    flash(after_release(told, state))
    return back(item_id)


def after_release(told: int, state: RunState) -> str:
    """What is said after a release."""
    if state == RunState.APPROVAL:
        people = plural(told, "person", "people")
        return f"Waits for a second person: a lead or admin is asked to approve mails to {people}."
    if not told:
        return "Released. No mail goes out; those who hold a receipt see the statement there."
    hold = settings().hold_minutes
    people = plural(told, "person", "people")
    if not hold:
        return f"Released. {people} will be told, beginning now."
    minutes = plural(hold, "minute", "minutes")
    return f"Released. {people} will be told, beginning in {minutes}. Until then you can undo it."


@bp.post("/actions/<int:item_id>/run/approve")
@staff(Role.LEAD)
def approve(item_id: int) -> Reply:
    """Agree that it is sent."""
    found = run_to_change(item_id)
    told = runs.approve(session(), found, me(), utc_now(), settings(), request.form.get("seen", ""))
    session().commit()
    flash(after_release(told, RunState.HELD).replace("Released", "Approved"))
    return back(item_id)


@bp.post("/actions/<int:item_id>/run/undo")
@staff(Role.OWNER)
def undo(item_id: int) -> Reply:
    """Take it back to review before anything is sent."""
    runs.undo(session(), run_to_change(item_id), me(), utc_now())
    session().commit()
    flash("Undone: nothing was sent, and the run is back in review. The closing stands.")
    return back(item_id)


@bp.post("/actions/<int:item_id>/run/look-again")
@staff(Role.OWNER)
def look_again(item_id: int) -> Reply:
    """Take in those who raised it since."""
    came = runs.look_again(session(), run_to_change(item_id), me(), utc_now(), settings())
    session().commit()
    flash(f"{plural(came.total(), 'person', 'people')} came in; {came['']:,} of them will be told.")
    return back(item_id)


@bp.post("/actions/<int:item_id>/run/test")
@staff(Role.OWNER)
def test_run(item_id: int) -> Reply:
    """Send one person's mail to whoever asks for it."""
    found = run_to_change(item_id)
    runs.send_test(session(), found, request.form.get("customer", type=int), me(), utc_now(), settings())
    session().commit()
    flash(f"A test is on its way to {me().email}. It counts nowhere.")
    return back(item_id)


@bp.get("/actions/<int:item_id>/run/tried")
@staff(Role.VIEWER)
def tried_run(item_id: int) -> Reply:
    """Where the links of a test lead: nothing is recorded."""
    return render_template("actions/tried.html", item=queries.item(session(), item_id) or abort(404))


@bp.post("/actions/<int:item_id>/run/resend")
@staff(Role.OWNER)
def resend(item_id: int) -> Reply:
    """Try what failed once more: one mail, or all of them."""
    found = run_to_change(item_id)
    count = runs.resend(session(), found, me(), utc_now(), request.form.get("notification", type=int))
    session().commit()
    flash(
        f"{plural(count, 'mail', 'mails')} will be tried once more."
        if count
        else "Nothing is left to try: no mail of this run has failed."
    )
    return back(item_id)


@bp.route("/actions/<int:item_id>/run/people")
@staff(Role.VIEWER)
def run_people(item_id: int) -> Reply:
    """Each person whom the closing concerns, where they stand, and why."""
    item, found = run_to_show(item_id)
    which = request.args.get("show", "")
    which = which if which in runqueries.SHOWN or which in list(Reason) else ""
    text = clean_text(request.args.get("q", "")).strip()[:100]
    changed = request.args.get("changed", type=int)
    return render_template(
        "actions/run_people.html",
        item=item,
        run=found,
        which=which,
        text=text,
        reasons=REASONS,
        final=[each.value for each in FINAL],
        may_change=service.may_work_on(me(), item) and found.state == RunState.REVIEW,
        may_work=service.may_work_on(me(), item),
        is_out=found.state in runs.OUT,
        changed=runqueries.row_of(session(), found, changed) if changed else None,
        page=runqueries.people(session(), found, which, text, page_number()),
        standing=partial(standing, now=utc_now()),
    )


@bp.post("/actions/<int:item_id>/run/people")
@staff(Role.OWNER)
def add_person(item_id: int) -> Reply:
    """Tell a customer who did not raise it here."""
    found, form = run_to_change(item_id), AddPersonForm()
    if form.validate():
        try:
            person = runs.add(session(), found, form.address.data, me(), utc_now())
        except service.Refused as error:
            session().rollback()
            found = run_to_change(item_id)
            form.address.errors = [str(error)]
        else:
            customer_id = person.customer_id
            session().commit()
            return redirect(url_for(".run_people", item_id=item_id, changed=customer_id))
    return run_page(found.closure.action_item, found, add_form=form), 400


@bp.get("/actions/<int:item_id>/run/people/<int:customer_id>")
@staff(Role.VIEWER)
def run_person(item_id: int, customer_id: int) -> Reply:
    """The mail as one person reads it."""
    item, found = run_to_show(item_id)
    row = runqueries.row_of(session(), found, customer_id) or abort(404, "There is no such person in the run.")
    person = runqueries.one_person(session(), found, customer_id)
    assert person is not None  # the row is there
    return render_template(
        "actions/run_person.html",
        item=item,
        run=found,
        row=row,
        mail=rendered(person, found.closure, settings()),
        standing=partial(standing, now=utc_now()),
        final=[each.value for each in FINAL],
        may_work=service.may_work_on(me(), item),
        may_change=service.may_work_on(me(), item) and found.state == RunState.REVIEW,
    )


@bp.post("/actions/<int:item_id>/run/people/<int:customer_id>")
@staff(Role.OWNER)
def change_person(item_id: int, customer_id: int) -> Reply:
    """Leave one person out, or tell them after all."""
    found = run_to_change(item_id)
    verb = runs.drop if request.form.get("do") == "drop" else runs.put_back
    verb(session(), found, customer_id, me(), utc_now())
    session().commit()
    place = {name: request.form.get(name) or None for name in ("show", "q", "page")}
    values: dict[str, Any] = {"item_id": item_id, "changed": customer_id, **place}
    return redirect(url_for(".run_people", **values))
