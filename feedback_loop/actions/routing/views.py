"""Routing rules: their list, and one with what it would have done."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, request, url_for
from sqlalchemy.orm import Session

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.models import Role
from feedback_loop.accounts.queries import possible_owners, teams
from feedback_loop.actions.blueprint import Reply, bp
from feedback_loop.actions.levels.queries import service_levels
from feedback_loop.actions.routing import queries, service
from feedback_loop.actions.routing.deciding import Rule, shadowed_by, what_it_asks
from feedback_loop.actions.routing.evidence import can_own, rule_of
from feedback_loop.actions.routing.forms import RuleForm
from feedback_loop.actions.routing.models import RoutingRule
from feedback_loop.actions.routing.previewing import Preview, preview
from feedback_loop.analysis.embedding.loading import thresholds_of
from feedback_loop.clock import utc_now
from feedback_loop.db import reading
from feedback_loop.surveys.queries import surveys
from feedback_loop.web.database import session, sessions, settings

NONE_LIKE_IT = "It fits none of the complaints of the last 30 days. If that is not meant, change what it asks for."


@bp.get("/settings/routing")
@staff(Role.LEAD)
def routing() -> Reply:
    """Routing rules, in their order."""
    rows = queries.rules(session())
    asked = [rule_of(row, place) for place, row in enumerate(rows, 1)]
    active = [rule for row, rule in zip(rows, asked, strict=True) if row.is_active]
    listed = [
        (row, rule, what_it_asks(rule), troubles(row, [each for each in active if each.place < rule.place]))
        for row, rule in zip(rows, asked, strict=True)
    ]
    default = next((team for team in teams(session()) if team.is_default), None)
    return render_template("actions/routing.html", listed=listed, default=default)


def troubles(row: RoutingRule, earlier: list[Rule]) -> list[str]:
    """Why a rule does not do what one would think, in sentences."""
    rule = rule_of(row, len(earlier) + 1)
    shadow = shadowed_by(rule, earlier) if row.is_active else None
    blind = rule.vectors is not None and not rule.vectors.any()
    found = [
        f"Never matches: rule {shadow.place} is asked first and takes all of it." if shadow else "",
        "Does not match yet: a worker has to read its examples." if rule.is_unread else "",
        "Never matches: nothing is said any more in the complaints it is like." if blind else "",
        f"The survey {row.survey.name} is archived." if row.survey and row.survey.archived_at else "",
        f"{row.owner.name} cannot own items any more, so nobody does." if row.owner and not can_own(row.owner) else "",
    ]
    return [each for each in found if each]


@bp.route("/settings/routing/new", methods=["GET", "POST"])
@staff(Role.LEAD)
def new_rule() -> Reply:
    """Add a rule, after a look at what it would have done."""
    return edit(None)


@bp.route("/settings/routing/<int:rule_id>", methods=["GET", "POST"])
@staff(Role.LEAD)
def rule(rule_id: int) -> Reply:
    """Change a rule, after a look at what it would have done."""
    return edit(rule_id)


def edit(rule_id: int | None) -> Reply:
    """The form of a rule: look at it, save it, or say what is wrong with it."""
    with reading(sessions()) as own:
        form = form_of(own, row_of(own, rule_id))
    saves = form.is_submitted() and "preview" not in request.form
    fault, is_overtaken = "", False
    if saves and form.validate():
        try:
            return save(form, rule_id, is_active="draft" not in request.form)
        except service.Refused as error:
            session().rollback()
            form.put(error.faults)
            fault = error.faults.get("", "")
        except service.Overtaken:
            session().rollback()
            is_overtaken = True
    with reading(sessions()) as own:
        row = row_of(own, rule_id)
        if row is not None and row.examples and not row.example_vectors and request.headers.get("HX-Request"):
            return "", 204  # nothing has changed: what stands there is not read out again
        looked = None
        if not form.is_submitted():
            looked = look_at(own, service.wanted_of(row), row) if row else None
        elif not saves and form.validate():
            wanted = service.tidied(form.wanted, settings().phone_region or None)
            form.put(service.check(own, wanted, form.page.data or ""))
            looked = None if form.errors else look_at(own, wanted, row)
        if request.headers.get("HX-Request"):
            return render_template("actions/parts/routing_preview.html", preview=looked, row=row)
        now_is = None
        if is_overtaken and row is not None:
            form.seen.data = service.fingerprint(row)  # whoever sends it again knows what it says now
            now_is = rule_of(row, service.place_of(own, row))
        page = render_template(
            "actions/routing_rule.html",
            form=form,
            row=row,
            preview=looked,
            fault=fault,
            now_is=now_is,
            asks=what_it_asks(now_is) if now_is else "",
        )
    return page, 409 if is_overtaken else 400 if form.errors or fault else 200


def row_of(own: Session, rule_id: int | None, lock: bool = False) -> RoutingRule | None:
    """The rule of an address; None for one that is to be made.

    Args:
        lock: Let nobody else change it before this transaction ends.
    """
    if rule_id is None:
        return None
    return own.get(RoutingRule, rule_id, with_for_update=lock or None) or abort(404, "This rule has been deleted.")


def form_of(own: Session, row: RoutingRule | None) -> RuleForm:
    """The form of a rule, filled with what it is, or with what the address names."""
    known = list(surveys(own))
    if row is not None and row.survey is not None and row.survey not in known:
        known.append(row.survey)
    form = RuleForm(
        teams=teams(own),
        owners=possible_owners(own),
        surveys=known,
        levels=service_levels(own, row.service_level if row else None),
        languages=service.written_languages(own),
        wanted=service.wanted_of(row) if row else None,
        seen=service.fingerprint(row) if row else "",
    )
    if row is None and not form.is_submitted():
        form.examples.data = "\n".join(request.args.get("like", "").split(",")[: service.MOST_EXAMPLES])
        form.team.data = request.args.get("team", "")
    return form


def look_at(own: Session, wanted: service.Wanted, row: RoutingRule | None) -> Preview:
    """What a rule would have done."""
    place = service.place_of(own, row) if row else len(queries.rules(own)) + 1
    like = thresholds_of(settings().embedding_model).like
    return preview(own, service.drafted(own, wanted, place, row), row, utc_now(), like)


def save(form: RuleForm, rule_id: int | None, is_active: bool) -> Reply:
    """Add or change a rule, and say what there is to know about it."""
    wanted = service.tidied(form.wanted, settings().phone_region or None)
    typed_page = form.page.data or ""
    row = row_of(session(), rule_id, lock=True)
    if row is None:
        row = service.add_rule(session(), wanted, is_active, typed_page)
        said = "The rule is added. It is asked after all others." if is_active else "The draft is saved."
    else:
        service.change_rule(session(), row, wanted, is_active, typed_page, form.seen.data or "")
        said = "The rule is changed. Items it has routed stay where they are." if is_active else "The draft is saved."
    session().commit()
    flash(said)
    if not is_active:
        return redirect(url_for(".rule", rule_id=row.id))
    with reading(sessions()) as own:
        looked = look_at(own, wanted, own.get_one(RoutingRule, row.id))
    if looked.rule.is_unread:
        flash("A worker reads its examples now, within seconds; until then it does not match.")
    elif looked.moved and not looked.fitting:
        flash(NONE_LIKE_IT, "problem")
    return redirect(url_for(".routing"))


@bp.post("/settings/routing/<int:rule_id>/turn")
@staff(Role.LEAD)
def turn_rule(rule_id: int) -> Reply:
    """Ask a rule from now on, or let it rest."""
    row = row_of(session(), rule_id) or abort(404)
    on = request.form.get("to") == "on"
    try:
        service.turn(session(), row, on)
    except service.Refused as error:
        session().rollback()
        flash(str(error), "problem")
        return redirect(url_for(".rule", rule_id=rule_id))
    session().commit()
    flash("The rule is asked from now on." if on else "The rule is not asked any more. It is kept as a draft.")
    return redirect(url_for(".routing"))


@bp.post("/settings/routing/<int:rule_id>/move")
@staff(Role.LEAD)
def move_rule(rule_id: int) -> Reply:
    """Let a rule be asked earlier or later."""
    row = row_of(session(), rule_id) or abort(404)
    service.move_rule(session(), row, -1 if request.form.get("step") == "up" else 1)
    session().commit()
    return redirect(url_for(".routing"))


@bp.post("/settings/routing/<int:rule_id>/delete")
@staff(Role.LEAD)
def delete_rule(rule_id: int) -> Reply:
    """Take a rule away."""
    row = row_of(session(), rule_id) or abort(404)
    service.delete_rule(session(), row)
    session().commit()
    flash("The rule is gone. Items it has routed stay where they are.")
    return redirect(url_for(".routing"))
