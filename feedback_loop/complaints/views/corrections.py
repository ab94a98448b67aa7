"""Correcting: put a draft together, apply it as a whole, undo what was applied.

The page of the draft stands in `reports`: it shows what is being done about the complaints, which a later step knows.
"""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.login import me
from feedback_loop.accounts.models import Role
from feedback_loop.clock import utc_now
from feedback_loop.complaints import evidence, queries
from feedback_loop.complaints.corrections import MOST_PICKED
from feedback_loop.complaints.forms import ApplyForm, ComplaintForm, StatementsForm, UndoForm
from feedback_loop.complaints.models import Correction, Draft
from feedback_loop.complaints.service import corrections
from feedback_loop.complaints.service.corrections import CannotCorrect
from feedback_loop.complaints.views.blueprint import bp
from feedback_loop.surveys.scales import SCALES
from feedback_loop.web.database import session
from feedback_loop.web.filters import plural
from feedback_loop.web.navigation import page_number

Reply = str | tuple[str, int] | Response


@bp.post("/complaints/<int:number>/corrections")
@staff(Role.LEAD)
def correct(number: int) -> Reply:
    """Put a correction of a whole complaint into the draft."""
    complaint = queries.complaint_by_number(session(), number) or abort(404, f"There is no complaint C-{number}.")
    wanted = ComplaintForm().wanted(complaint) or abort(400, "This is no correction of a complaint.")
    try:
        corrections.add(session(), wanted, me(), utc_now())
    except CannotCorrect as error:
        session().rollback()
        flash(str(error), "problem")
        return redirect(url_for("reports.complaint", number=number, _anchor="correcting"), 303)
    session().commit()
    return redirect(url_for("reports.draft"), 303)


@bp.route("/complaints/statements/correct", methods=["GET", "POST"])
@staff(Role.LEAD)
def correct_statements() -> Reply:
    """What is to happen with statements picked by hand?"""
    back = request.args.get("back", "")
    back = back if is_ours(back) else url_for("reports.complaints")
    ids = tuple(dict.fromkeys(request.values.getlist("ids", type=int)))[: MOST_PICKED + 1]
    picked = evidence.picked(session(), ids)
    if not picked:
        flash("Tick the statements first that you want to correct.", "problem")
        return redirect(back)
    homes = {each.complaint_id for each in picked}
    home = next(iter(homes)) if len(homes) == 1 else None
    form, status = StatementsForm(), 200
    form.offer(homes)
    if request.method == "POST":
        wanted = form.wanted(homes, tuple(each.id for each in picked))
        if wanted is not None:
            try:
                corrections.add(session(), wanted, me(), utc_now())
                session().commit()
                return redirect(url_for("reports.draft"), 303)
            except CannotCorrect as error:
                session().rollback()
                form.refuse(str(error))
                picked = evidence.picked(session(), ids)
        status = 400
    return render_template(
        "complaints/correct_statements.html",
        form=form,
        picked=picked,
        home=queries.complaint_by_number(session(), home) if home else None,
        others=evidence.possible_targets(session(), home),
        back=back,
        scales=SCALES,
    ), status


def is_ours(back: str) -> bool:
    """Whether a way back leads to a page of this site."""
    return back.startswith("/") and not back.startswith("//") and "\\" not in back


def own_draft() -> Draft:
    """The draft of the signed-in person."""
    return corrections.open_draft(session(), me()) or abort(
        404, "Your draft is empty. What you applied stands under “Corrections”."
    )


@bp.post("/complaints/draft/apply")
@staff(Role.LEAD)
def apply_draft() -> Reply:
    """Apply everything in the draft, or nothing."""
    draft, form = own_draft(), ApplyForm()
    if not form.validate_on_submit():
        flash(next(iter(form.why.errors), "Please try again."), "problem")
        return redirect(url_for("reports.draft"), 303)
    try:
        corrections.apply(session(), draft, form.why.data or "", utc_now())
    except CannotCorrect as error:
        session().rollback()
        flash(f"Nothing was changed. {error}", "problem")
        return redirect(url_for("reports.draft"), 303)
    applied = list(draft.corrections)
    session().commit()
    if len(applied) > 1:
        flash(
            f"{plural(len(applied), 'correction', 'corrections')} applied. "
            "Each holds in every later refine until it is undone here."
        )
        return redirect(url_for(".corrected"), 303)
    (only,) = applied
    undo_it = url_for(".corrected", undo=only.id, _anchor=f"correction-{only.id}")
    flash(
        Markup('Applied: {}. It holds in every later refine until it is undone. <a href="{}">Undo</a>').format(
            corrections.sentence(only), undo_it
        )
    )
    return redirect(where_it_shows(only), 303)


def where_it_shows(correction: Correction) -> str:
    """The page on which one sees best what an applied correction did: where statements are now."""
    number = correction.other_id or correction.complaint_id
    return url_for("reports.complaint", number=number) if number else url_for(".corrected")


@bp.post("/complaints/draft/discard")
@staff(Role.LEAD)
def discard_draft() -> Reply:
    """Throw the draft away."""
    try:
        corrections.discard(session(), own_draft())
    except CannotCorrect as error:
        session().rollback()
        flash(str(error), "problem")
        return redirect(url_for(".corrected"), 303)
    session().commit()
    flash("The draft is gone; nothing was changed.")
    return redirect(url_for("reports.complaints"), 303)


@bp.post("/complaints/draft/<int:correction_id>/take-back")
@staff(Role.LEAD)
def take_back(correction_id: int) -> Reply:
    """Take one correction out of the draft."""
    correction = next((each for each in own_draft().corrections if each.id == correction_id), None) or abort(404)
    try:
        corrections.take_back(session(), correction)
        session().commit()
    except CannotCorrect as error:
        session().rollback()
        flash(str(error), "problem")
    return redirect(url_for("reports.draft"), 303)


@bp.get("/complaints/corrections")
@staff(Role.VIEWER)
def corrected() -> Reply:
    """What people corrected, and why."""
    complaint = queries.complaint_by_number(session(), request.args.get("complaint", 0, type=int))
    return render_template(
        "complaints/corrections.html",
        complaint=complaint,
        page=evidence.corrections(session(), complaint, page_number()),
        sentence=corrections.sentence,
        undoing=request.args.get("undo", type=int),
    )


@bp.post("/complaints/corrections/<int:correction_id>/undo")
@staff(Role.LEAD)
def undo(correction_id: int) -> Reply:
    """Take a correction back."""
    correction = session().get(Correction, correction_id) or abort(404, "There is no such correction.")
    form, of = UndoForm(), request.args.get("complaint", type=int)
    if not form.validate_on_submit():
        flash(next(iter(form.why.errors), "Please try again."), "problem")
        return redirect(url_for(".corrected", complaint=of), 303)
    try:
        back = corrections.undo(session(), correction, me(), form.why.data or "", utc_now())
    except CannotCorrect as error:
        session().rollback()
        flash(str(error), "problem")
        return redirect(url_for(".corrected", complaint=of), 303)
    sentence = corrections.sentence(correction)
    session().commit()
    went = f" {plural(back, 'statement', 'statements')} went back." if back else ""
    flash(f"Undone: {sentence}.{went}")
    return redirect(url_for(".corrected", complaint=of), 303)
