"""What stands beside an item: its checklist, links, and who watches it."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, request, url_for

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.login import me
from feedback_loop.accounts.models import Role
from feedback_loop.accounts.queries import active_people
from feedback_loop.actions import queries
from feedback_loop.actions.blueprint import Reply, bp, item_to_work_on
from feedback_loop.actions.details import checklist, links, watching
from feedback_loop.actions.details.forms import EntryForm, LinkForm
from feedback_loop.actions.models import ActionItem, LinkKind
from feedback_loop.actions.service import Refused
from feedback_loop.clock import utc_now
from feedback_loop.web.database import session


def back_to_checklist(item: ActionItem, added: bool = False) -> Reply:
    """Save, then to the checklist: the part alone where the page asked for that."""
    session().commit()
    if not request.headers.get("HX-Request"):
        return redirect(url_for("reports.item", item_id=item.id, _anchor="checklist"))
    return render_template(
        "actions/parts/checklist.html",
        item=item,
        checklist=checklist.checklist(session(), item),
        entry_form=EntryForm(formdata=None),
        may_work=True,
        lives=True,
        added=added,
    )


def checklist_page(item: ActionItem, form: EntryForm, status: int, editing: int | None = None) -> Reply:
    """The checklist with what is wrong with the form, and what was typed.

    Args:
        editing: The entry that was to be written anew; None where one was to be added.
    """
    part = bool(request.headers.get("HX-Request"))
    page = render_template(
        "actions/parts/checklist.html" if part else "actions/checklist.html",
        item=item,
        checklist=checklist.checklist(session(), item),
        entry_form=EntryForm(formdata=None) if editing else form,
        edit_form=form if editing else None,
        editing=editing,
        may_work=True,
        lives=True,
    )
    return page, 200 if part else status  # htmx puts only good answers in place


@bp.post("/actions/<int:item_id>/checklist")
@staff(Role.OWNER)
def add_entry(item_id: int) -> Reply:
    """Add an entry to the checklist."""
    item, form = item_to_work_on(item_id, lock=True), EntryForm()
    if not form.validate_on_submit():
        return checklist_page(item, form, 400)
    try:
        checklist.add(session(), item, form.text.data, me(), utc_now())
    except Refused as error:
        form.text.errors = [str(error)]
        return checklist_page(item, form, 400)
    return back_to_checklist(item, added=True)


@bp.post("/actions/<int:item_id>/checklist/<int:entry_id>/done")
@staff(Role.OWNER)
def tick(item_id: int, entry_id: int) -> Reply:
    """Tick an entry, or untick it."""
    item = item_to_work_on(item_id, lock=True)
    entry = checklist.entry_of(session(), item, entry_id)
    checklist.set_done(session(), item, entry, request.form.get("done") == "1", me(), utc_now())
    return back_to_checklist(item)


@bp.post("/actions/<int:item_id>/checklist/<int:entry_id>/text")
@staff(Role.OWNER)
def rename_entry(item_id: int, entry_id: int) -> Reply:
    """Write an entry anew."""
    item, form = item_to_work_on(item_id, lock=True), EntryForm()
    try:
        entry = checklist.entry_of(session(), item, entry_id)
    except Refused as error:
        # What was typed is not lost: it stands where a new entry is added.
        form.text.errors = [f"{error} Add yours as a new one if it is still to be done."]
        return checklist_page(item, form, 409)
    if not form.validate_on_submit():
        return checklist_page(item, form, 400, entry.id)
    try:
        was = form.was.data if "was" in request.form else None
        checklist.rename(session(), item, entry, form.text.data, was, me(), utc_now())
    except checklist.Overtaken as error:
        form.text.errors = [f"{error} Send yours again if it is to stand instead."]
        form.was.data = entry.text
        return checklist_page(item, form, 409, entry.id)
    return back_to_checklist(item)


@bp.post("/actions/<int:item_id>/checklist/<int:entry_id>/move")
@staff(Role.OWNER)
def move_entry(item_id: int, entry_id: int) -> Reply:
    """Let an entry stand earlier or later."""
    item = item_to_work_on(item_id, lock=True)
    entry = checklist.entry_of(session(), item, entry_id)
    checklist.move(session(), item, entry, -1 if request.form.get("step") == "up" else 1)
    return back_to_checklist(item)


@bp.post("/actions/<int:item_id>/checklist/<int:entry_id>/delete")
@staff(Role.OWNER)
def delete_entry(item_id: int, entry_id: int) -> Reply:
    """Take an entry away."""
    item = item_to_work_on(item_id, lock=True)
    checklist.delete(session(), item, checklist.entry_of(session(), item, entry_id), me(), utc_now())
    return back_to_checklist(item)


@bp.post("/actions/<int:item_id>/links")
@staff(Role.OWNER)
def add_link(item_id: int) -> Reply:
    """Link something outside."""
    item, form = item_to_work_on(item_id, lock=True), LinkForm()
    if form.validate_on_submit():
        kind = LinkKind(form.kind.data)
        try:
            links.add(session(), item, form.url.data, form.title.data or "", kind, me(), utc_now())
        except Refused as error:
            form.url.errors = [str(error)]
        else:
            session().commit()
            return redirect(url_for("reports.item", item_id=item_id, _anchor="links"))
    return render_template("actions/link.html", item=item, link_form=form), 400


@bp.post("/actions/<int:item_id>/links/<int:link_id>/delete")
@staff(Role.OWNER)
def delete_link(item_id: int, link_id: int) -> Reply:
    """Take a link away."""
    item = item_to_work_on(item_id, lock=True)
    links.delete(session(), item, links.link_of(session(), item, link_id), me(), utc_now())
    session().commit()
    return redirect(url_for("reports.item", item_id=item_id, _anchor="links"))


@bp.post("/actions/<int:item_id>/watch")
@staff(Role.VIEWER)
def watch(item_id: int) -> Reply:
    """Hear of what happens to an item, or no more. Whoever can read it may."""
    item = queries.item(session(), item_id) or abort(404)
    if request.form.get("watch") == "1":
        watching.watch(session(), item, [me().id], utc_now())
        flash("You watch it now: you hear of comments, and when it is assigned, waits, is closed, or comes back.")
    else:
        watching.unwatch(session(), item, me())
        flash("You do not watch it any more.")
    session().commit()
    return redirect(url_for("reports.item", item_id=item_id))


@bp.post("/actions/<int:item_id>/watchers")
@staff(Role.LEAD)
def add_watcher(item_id: int) -> Reply:
    """Let somebody else watch an item."""
    item = item_to_work_on(item_id)
    chosen = request.form.get("person", "")
    user = next((each for each in active_people(session()) if str(each.id) == chosen), None)
    if user is None:
        raise Refused("Choose who is to watch it.")
    watching.add_watcher(session(), item, user, me(), utc_now())
    session().commit()
    flash(f"{user.name} watches it now.")
    return redirect(url_for("reports.item", item_id=item_id))
