"""Triage: is this one problem, and whose? One complaint at a time, or several at once; every decision can be undone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.wrappers import Response

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.login import me
from feedback_loop.accounts.models import Role, Team, User
from feedback_loop.accounts.queries import possible_owners, teams
from feedback_loop.actions import queries as item_queries
from feedback_loop.actions.blueprint import Reply, bp
from feedback_loop.actions.models import ActionItem
from feedback_loop.actions.service import Refused
from feedback_loop.actions.triage import queries, service, undoing
from feedback_loop.actions.triage.forms import SNOOZES, TriageForm
from feedback_loop.actions.triage.queries import Queue, TriageFilter
from feedback_loop.analysis.embedding.loading import thresholds_of
from feedback_loop.clock import utc_now
from feedback_loop.complaints import queries as complaint_queries
from feedback_loop.complaints.evidence import possible_targets
from feedback_loop.complaints.forms import number_in
from feedback_loop.db import reading
from feedback_loop.languages import ENGLISH_NAMES
from feedback_loop.surveys.queries import surveys
from feedback_loop.surveys.scales import SCALES
from feedback_loop.web.database import session, sessions, settings
from feedback_loop.web.filters import plural

FILTERS = ("queue", "q", "survey", "language", "people", "team", "growing")
MOST_AT_ONCE = 200
MENU_COUNTS_TO = 100
REFUSALS_SHOWN = 10
OVERTAKEN = "Somebody else changed this at the same moment, so nothing of yours was saved. Look again, then repeat it."


def wanted() -> TriageFilter:
    """The filter that the address holds."""
    asked, language = request.args.get("queue", ""), request.args.get("language", "")
    people = request.args.get("people", type=int)
    return TriageFilter(
        queue=Queue(asked) if asked in list(Queue) else Queue.NEW,
        text=request.args.get("q", "").strip()[:100],
        survey_id=request.args.get("survey", type=int),
        language=language if language in ENGLISH_NAMES else "",
        people=people if people is not None and 0 < people < 10**9 else None,
        team_id=request.args.get("team", type=int),
        growing=bool(request.args.get("growing")),
    )


def kept() -> dict[str, str]:
    """The filters of the address, to be carried on from page to page."""
    return {name: request.args[name] for name in FILTERS if request.args.get(name)}


def address(item_id: int | None) -> str:
    """Of triage with the same filters, at one entry or at the first."""
    values: dict[str, Any] = {**kept(), "item": item_id}
    return url_for(".triage", **values)


def back(item_id: int | None = None) -> Response:
    """To triage with the same filters: at the entry that comes next."""
    item_id = item_id or request.form.get("next", type=int)
    return redirect(address(item_id or None), 303)


def triage_form(**values: object) -> TriageForm:
    """The form of decisions, with the teams and people there are."""
    return TriageForm(teams=teams(session()), owners=possible_owners(session()), **values)


@bp.get("/triage")
@staff(Role.LEAD)
def triage() -> Reply:
    """Is this one problem, and whose?"""
    return show(request.args.get("item", type=int))


def show(item_id: int | None, problem: str = "") -> Reply:
    """The page of triage at one of the entries, or at the first. `problem` is about the complaint to merge into."""
    now, found = utc_now(), wanted()
    ids = queries.waiting_ids(session(), found, now)
    place = ids.index(item_id) if item_id in ids else 0
    first = place - place % queries.ENTRIES_A_PAGE
    rows = queries.entries(session(), ids[first : first + queries.ENTRIES_A_PAGE], now)
    current = next((row for row in rows if row.item.id == ids[place]), None) if ids else None
    case = queries.case_of(session(), current.item, thresholds_of(settings().embedding_model), now) if current else None
    team = case.suggested.team_id if case else None
    owner = case.suggested.owner_id if case else None
    all_teams, owners = teams(session()), possible_owners(session())
    chosen = {"team": str(team or ""), "owner": str(owner or ""), "other": request.form.get("other")}
    page = render_template(
        "actions/triage.html",
        wanted=found,
        kept=kept(),
        at=address,
        missing=item_id is not None and item_id not in ids,
        waiting=queries.waiting(session(), now),
        ids=ids,
        place=place,
        first=first,
        rows=rows,
        size=queries.ENTRIES_A_PAGE,
        current=current,
        case=case,
        form=TriageForm(formdata=None, data=chosen, teams=all_teams, owners=owners),
        bulk=TriageForm(formdata=None, prefix="all-", teams=all_teams, owners=owners),
        teams=all_teams,
        problem=problem,
        targets=possible_targets(session(), current.item.complaint_id) if current else [],
        last=undoing.last_decision(session(), me(), now),
        most=MOST_AT_ONCE,
        scales=SCALES,
        surveys=surveys(session()),
        languages=ENGLISH_NAMES,
        queues=Queue,
    )
    return page, 400 if problem else 200


def decide(item_id: int, verb: Callable[[ActionItem, User, datetime], None]) -> Response:
    """Carry out one decision and go on to the next entry."""
    item = item_queries.item(session(), item_id) or abort(404, "There is no such action item.")
    try:
        verb(item, me(), utc_now())
        session().commit()
    except Refused as error:
        session().rollback()
        flash(str(error), "problem")
        return back()
    except StaleDataError:
        session().rollback()
        flash(OVERTAKEN, "problem")
        return back(item_id)
    return back()


def team_and_owner(form: TriageForm) -> tuple[Team, User | None]:
    """Who was chosen in a form that is valid."""
    owner = session().get_one(User, int(form.owner.data)) if form.owner.data else None
    return session().get_one(Team, int(form.team.data)), owner


def wrong(message: str, item_id: int | None = None) -> Response:
    """Back to the entry with what was wrong."""
    flash(message, "problem")
    return back(item_id)


@bp.post("/triage/<int:item_id>/assign")
@staff(Role.LEAD)
def triage_assign(item_id: int) -> Reply:
    """Say whose it is."""
    form = triage_form()
    if problem := form.complains_of("team", "owner"):
        return wrong(problem, item_id)
    team, owner = team_and_owner(form)
    return decide(item_id, lambda item, by, now: service.triage(session(), item, team, owner, by, now))


@bp.post("/triage/<int:item_id>/snooze")
@staff(Role.LEAD)
def triage_snooze(item_id: int) -> Reply:
    """Leave it out for a while."""
    form = triage_form()
    if problem := form.complains_of("snooze"):
        return wrong(problem, item_id)
    time = SNOOZES[form.snooze.data]
    return decide(item_id, lambda item, by, now: service.snooze(session(), item, now + time, by, now))


@bp.post("/triage/<int:item_id>/wake")
@staff(Role.LEAD)
def triage_wake(item_id: int) -> Reply:
    """Take it back before its time."""
    return decide(item_id, lambda item, by, now: service.wake(session(), item, by, now))


@bp.post("/triage/<int:item_id>/dismiss")
@staff(Role.LEAD)
def triage_dismiss(item_id: int) -> Reply:
    """Say that it is no complaint."""
    return decide(item_id, lambda item, by, now: service.dismiss(session(), item, by, now))


@bp.post("/triage/<int:item_id>/merge")
@staff(Role.LEAD)
def triage_merge(item_id: int) -> Reply:
    """Say that it is the same as another complaint: one of the nearest, or one that is named."""
    number = request.form.get("into", type=int) or number_in(request.form.get("other", ""))
    if number is None:
        return show(item_id, "Enter the number of the complaint to merge into, such as C-12, or choose from the list.")
    into = complaint_queries.complaint_by_number(session(), number)
    if into is None:
        return show(item_id, f"There is no complaint C-{number}.")
    return decide(item_id, lambda item, by, now: service.merge(session(), item, into, by, now))


@bp.post("/triage/several")
@staff(Role.LEAD)
def triage_several() -> Reply:
    """Decide about all that are ticked, or all that the filters show, at one go."""
    now, by, form = utc_now(), me(), triage_form(prefix="all-")
    verb = request.form.get("verb", "")
    needs: dict[str, tuple[str, ...]] = {"assign": ("team", "owner"), "snooze": ("snooze",), "dismiss": ()}
    if request.form.get("everything"):
        ids = list(queries.waiting_ids(session(), wanted(), now))[:MOST_AT_ONCE]
    else:
        ids = list(dict.fromkeys(request.form.getlist("ids", type=int)))[:MOST_AT_ONCE]
    items = [row.item for row in queries.entries(session(), ids, now)]
    if not items:
        return wrong("Tick the complaints first that you want to decide about.")
    if verb not in needs:
        return wrong("Choose what is to happen with the ticked ones: assign, snooze or dismiss.")
    if problem := form.complains_of(*needs[verb]):
        return wrong(problem)

    def one(item: ActionItem, together: str) -> None:
        if verb == "assign":
            service.triage(session(), item, *team_and_owner(form), by, now, together)
        elif verb == "snooze":
            service.snooze(session(), item, now + SNOOZES[form.snooze.data], by, now, together)
        else:
            service.dismiss(session(), item, by, now, together)

    return tell_result(lambda: service.for_all(session(), items, one), "Decided about", "Nothing was changed.")


@bp.post("/triage/undo")
@staff(Role.LEAD)
def triage_undo() -> Reply:
    """Take the last decision back, or the one that is named."""
    now, by = utc_now(), me()
    decision = undoing.last_decision(session(), by, now, request.form.get("decision", ""))
    if decision is None:
        return wrong("There is nothing of yours to undo here (any more): only what you decided in the last 12 hours.")
    first = decision.entries[-1].action_item_id
    return tell_result(
        lambda: undoing.undo(session(), decision, by, now), "Taken back for", "Nothing was taken back.", first
    )


def tell_result(carry_out: Callable[[], service.Result], what: str, nothing: str, item_id: int | None = None) -> Reply:
    """Do something with several items in one transaction, and say for which it was refused and why."""
    try:
        result = carry_out()
        session().commit()
    except StaleDataError:
        session().rollback()
        return wrong(OVERTAKEN, item_id)
    if result.done:
        first = result.done[0].complaint
        only = f"{first.number} {first.name}"
        flash(f"{what} {plural(len(result.done), 'complaint', 'complaints') if len(result.done) > 1 else only}.")
    if result.refused:
        said = " ".join(reason for _, reason in result.refused[:REFUSALS_SHOWN])
        more = len(result.refused) - REFUSALS_SHOWN
        flash(f"{'' if result.done else nothing + ' '}{said}{f' And {more} more.' if more > 0 else ''}", "problem")
    return back(item_id)


def menu_count() -> str:
    """How many wait, for the menu; a page that only reads never opens a session that writes for it."""
    if not current_user.role.includes(Role.LEAD):
        return ""
    with reading(sessions()) as own:
        count = queries.waiting_up_to(own, utc_now(), MENU_COUNTS_TO)
    return f"{MENU_COUNTS_TO - 1}+" if count >= MENU_COUNTS_TO else str(count or "")


bp.record(lambda state: state.app.extensions.setdefault("menu_counts", {}).update({"actions.triage": menu_count}))
