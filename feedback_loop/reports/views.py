"""Pages that show several steps of the loop together: home, complaints, an action item, surveys with their answers.

They stand here because a step may not know those after it, while a reader wants to see both. What is done on these
pages is done by the verbs of the steps.
"""

from __future__ import annotations

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.login import me
from feedback_loop.accounts.models import Role
from feedback_loop.accounts.queries import active_people, teams
from feedback_loop.actions import queries as action_queries
from feedback_loop.actions.audience.counting import audience
from feedback_loop.actions.closing import queries as closing_queries
from feedback_loop.actions.details.checklist import checklist
from feedback_loop.actions.details.forms import EntryForm, LinkForm
from feedback_loop.actions.details.links import links
from feedback_loop.actions.details.watching import watchers
from feedback_loop.actions.forms import AssignForm, CommentForm
from feedback_loop.actions.levels.forms import ItemLevelForm, PriorityForm
from feedback_loop.actions.levels.queries import levels
from feedback_loop.actions.mentions import Person, suggestions
from feedback_loop.actions.models import Status
from feedback_loop.actions.service import may_work_on
from feedback_loop.actions.stream import Show, stream
from feedback_loop.actions.transitions import WORDS
from feedback_loop.actions.transitions import may as transition
from feedback_loop.actions.triage.suggesting import suggest
from feedback_loop.analysis.embedding.loading import thresholds_of
from feedback_loop.clock import utc_now
from feedback_loop.complaints import evidence
from feedback_loop.complaints import queries as complaint_queries
from feedback_loop.complaints.forms import ApplyForm
from feedback_loop.complaints.models import Complaint, ComplaintState
from feedback_loop.complaints.queries import Tab
from feedback_loop.complaints.service.corrections import impacts, open_draft, sentence
from feedback_loop.complaints.sizes import sizes
from feedback_loop.complaints.trends import running_spike
from feedback_loop.followups import queries as followup_queries
from feedback_loop.integrations import queries as integration_queries
from feedback_loop.languages import ENGLISH_NAMES
from feedback_loop.reports import queries
from feedback_loop.reports.mine import mine
from feedback_loop.reports.queries import ComplaintFilter
from feedback_loop.reports.today import today
from feedback_loop.responses.anonymity import FEWEST, REFUSAL
from feedback_loop.responses.pressure import pressure
from feedback_loop.responses.queries import availability_of, versions_of, with_original
from feedback_loop.responses.receiving import unconfirmed_counts
from feedback_loop.responses.service import find_customer, invite
from feedback_loop.surveys.availability import REASONS, STANDINGS, Availability, availability
from feedback_loop.surveys.forms import InvitationForm
from feedback_loop.surveys.models import Survey
from feedback_loop.surveys.queries import archived as archived_surveys
from feedback_loop.surveys.queries import by_slug, questions_of
from feedback_loop.surveys.queries import surveys as all_surveys
from feedback_loop.surveys.scales import SCALES
from feedback_loop.surveys.wording import gaps, worded
from feedback_loop.web.database import session, settings
from feedback_loop.web.navigation import page_number

POOL_COUNTED = 1000  # statements; from here on the tab says “and more”
bp = Blueprint("reports", __name__)

Reply = str | tuple[str, int] | Response
SORTS = {"people": "Most people", "newest": "Last said", "growing": "Growing most"}
FOLLOW_UPS_SHOWN = 10
CORRECTIONS_SHOWN = 5
BUTTONS = ("take_on", "go_on", "wait", "close", "reopen")


@bp.get("/")
@staff(Role.VIEWER)
def home() -> Reply:
    """What needs me today?"""
    if not queries.has_answers(session()):
        return render_template("home/first_run.html", steps=queries.first_steps(session()))
    user = me()
    team = user.team
    scope = request.args.get("scope", "mine" if user.role == Role.OWNER else "all")
    if scope == "mine" and user.role != Role.VIEWER:
        own_team = team.id if team else None
        return render_template(
            "home/mine.html",
            team=team,
            team_id=own_team,
            scope="mine",
            spikes=queries.running_spikes(session(), own_team),
            needed=mine(session(), user, utc_now()),
            closed=queries.recently_closed(session(), own_team),
        )
    team_id = team.id if team and scope == "team" else None
    return render_template(
        "home/index.html",
        team=team,
        team_id=team_id,
        scope="team" if team_id else "all",
        spikes=queries.running_spikes(session(), team_id),
        today=today(session(), utc_now(), team_id),
        closed=queries.recently_closed(session(), team_id),
        understanding=queries.understanding(session()),
    )


@bp.get("/complaints")
@staff(Role.VIEWER)
def complaints() -> Reply:
    """All complaints."""
    status, sort = request.args.get("status", ""), request.args.get("sort", "people")
    wanted = ComplaintFilter(
        text=request.args.get("q", "").strip()[:100],
        survey_id=request.args.get("survey", type=int),
        team_id=request.args.get("team", type=int),
        status=Status(status) if status in list(Status) else None,
        growing=bool(request.args.get("growing")),
        sort=sort if sort in SORTS else "people",
    )
    return render_template(
        "complaints/index.html",
        page=queries.complaints(session(), wanted, page_number()),
        wanted=wanted,
        sorts=SORTS,
        words=WORDS,
        teams=teams(session()),
        surveys=all_surveys(session()),
        pool=complaint_queries.pool_size(session(), POOL_COUNTED),
        drafted=drafted(),
    )


@bp.get("/complaints/<int:number>")
@staff(Role.VIEWER)
def complaint(number: int) -> Reply:
    """What exactly do they say, and what is being done?"""
    found = complaint_queries.complaint_by_number(session(), number) or abort(404, f"There is no complaint C-{number}.")
    survivor = complaint_queries.surviving(session(), found)
    if survivor is not found:
        return redirect(url_for(".complaint", number=survivor.id, merged=found.id))  # for now: a merge may be undone
    asked = request.args.get("tab", "")
    tab = Tab(asked) if asked in list(Tab) else Tab.CENTRAL
    page = complaint_queries.statements(session(), found, tab, page_number())
    return render_template(
        "complaints/complaint.html",
        complaint=found,
        merged=merged_here(found),
        item=action_queries.item_of(session(), found),
        trend=complaint_queries.trend(session(), found, utc_now()),
        sources=complaint_queries.sources(session(), found),
        tab=tab,
        scales=SCALES,
        page=page,
        alike=evidence.said_alike(session(), found, page.rows),
        next_to=evidence.placed_next_to(session(), page.rows),
        standing=evidence.standing(session(), found),
        neighbours=evidence.neighbours(session(), found),
        refine=complaint_queries.last_refine(session()),
        corrections=evidence.corrections(session(), found, 1, CORRECTIONS_SHOWN),
        sentence=sentence,
        targets=evidence.possible_targets(session(), found.id),
        spike=running_spike(session(), found),
        drafted=drafted(),
    )


def merged_here(survivor: Complaint) -> Complaint | None:
    """The merged complaint whose address led to this one, or None."""
    number = request.args.get("merged", type=int)
    found = complaint_queries.complaint_by_number(session(), number) if number else None
    is_here = found and found is not survivor and complaint_queries.surviving(session(), found) is survivor
    return found if is_here else None


def drafted() -> int:
    """How many corrections the signed-in person has in the draft."""
    own = open_draft(session(), me()) if me().role.includes(Role.LEAD) else None
    return len(own.corrections) if own else 0


@bp.get("/complaints/draft")
@staff(Role.LEAD)
def draft() -> Reply:
    """What would change, for whom, and what is being done there?"""
    own = open_draft(session(), me())
    found = impacts(session(), own) if own else []
    concerned = {id for each in found for id in (each.correction.complaint_id, each.correction.other_id) if id}
    return render_template(
        "complaints/draft.html",
        impacts=found,
        sizes=sizes(session(), [each.correction for each in found if not each.refusal]),
        complaints=evidence.by_id(session(), concerned),
        items=action_queries.items_of(session(), concerned),
        sentence=sentence,
        form=ApplyForm(),
    )


@bp.get("/actions/<int:item_id>")
@staff(Role.VIEWER)
def item(item_id: int) -> Reply:
    """What do I do next?"""
    found = action_queries.item(session(), item_id) or abort(404, "There is no such action item.")
    closings = action_queries.closures_with_runs(session(), found)
    lives = found.complaint.state == ComplaintState.ACTIVE
    colleagues = active_people(session())  # with whoever looks: asked for first, they are read once
    may_work = may_work_on(me(), found)
    works = may_work and lives
    can = {verb: lives and not transition(found.status, verb) for verb in BUTTONS}
    latest, run = closings[0] if closings else (None, None)
    elsewhere = integration_queries.elsewhere(session(), found)
    asked = request.args.get("history", "")
    show = Show(asked) if asked in list(Show) else Show.ALL
    return render_template(
        "actions/item.html",
        item=found,
        lives=lives,
        may_work=may_work,
        issues=elsewhere.issues,
        may_create_issue=works and elsewhere.has_tracker,
        can=can,
        audience=audience(session(), found) if can["close"] else None,
        statements=complaint_queries.telling(session(), found.complaint)
        if found.complaint.state != ComplaintState.MERGED
        else [],
        scales=SCALES,
        closures={closure.id: closure for closure, _ in closings},
        latest=latest,
        helped=followup_queries.helped(session(), latest, settings(), FOLLOW_UPS_SHOWN) if latest else None,
        telling=closing_queries.telling(session(), latest) if latest else None,
        show=show,
        run=run,
        history=stream(session(), found, show, page_number()),
        priority_form=PriorityForm(found),
        level_form=ItemLevelForm(found, levels=levels(session())) if works and can["close"] else None,
        comment_form=CommentForm(),
        colleagues=colleagues,
        handles=suggestions([Person(each.id, each.name, each.email) for each in colleagues]),
        assign_form=AssignForm(
            found, teams=teams(session()), owners=[each for each in colleagues if each.role != Role.VIEWER]
        )
        if works
        else None,
        checklist=checklist(session(), found),
        entry_form=EntryForm(),
        links=links(session(), found),
        link_form=LinkForm(),
        watchers=watchers(session(), found),
        suggestion=suggest(session(), found, thresholds_of(settings().embedding_model))
        if lives and found.status == Status.NEW
        else None,
    )


@bp.get("/surveys")
@staff(Role.VIEWER)
def surveys() -> Reply:
    """All surveys, with their answers in numbers."""
    is_archive = request.args.get("archived") == "yes"
    rows = queries.surveys(session(), archived=is_archive)
    now = utc_now()
    standings = {}
    for row in rows:
        survey = row.survey
        is_full = survey.answer_limit is not None and row.answers >= survey.answer_limit
        standings[survey.id] = STANDINGS[availability(survey, now, is_full)]
    return render_template(
        "surveys/index.html",
        rows=rows,
        standings=standings,
        is_archive=is_archive,
        archived_count=archived_surveys(session()),
    )


def survey_page(found: Survey, form: InvitationForm, status: int = 200) -> Reply:
    """The page of one survey."""
    counts = queries.surveys(session(), found)[0]
    page = queries.answers(session(), counts, page_number())
    originals = with_original(session(), page.rows, utc_now()) if current_user.reads_raw else set()
    standing = availability_of(session(), found, utc_now())
    return render_template(
        "surveys/survey.html",
        standing=standing.value,
        obstacle=REASONS.get(standing, ""),
        asked_with=questions_of(session(), found, [answer.survey_version for answer in page.rows]),
        gaps=gaps(worded(found)),
        named=ENGLISH_NAMES,
        counts=counts,
        survey=found,
        page=page,
        originals=originals,
        versions=versions_of(session(), page.rows),
        waiting=unconfirmed_counts(session(), found),
        fewest=FEWEST,
        erased=queries.erased(session(), found),
        pressure=pressure(session(), found, utc_now()),
        form=form,
    ), status


@bp.get("/surveys/<slug>")
@staff(Role.VIEWER)
def survey(slug: str) -> Reply:
    """One survey: its question, where it is answered, its latest answers."""
    return survey_page(by_slug(session(), slug) or abort(404, "There is no such survey."), InvitationForm())


@bp.post("/surveys/<slug>/invitations")
@staff(Role.ADMIN)
def invitation(slug: str) -> Reply:
    """Make an invitation link. It is shown on the answer to this form only: just its hash is stored."""
    found, form = by_slug(session(), slug) or abort(404), InvitationForm()
    if found.is_anonymous:
        abort(409, REFUSAL)
    if not form.validate_on_submit():
        return survey_page(found, form, 400)
    standing = availability_of(session(), found, utc_now())
    if standing != Availability.OPEN:
        form.email.errors = [REASONS[standing]]
        return survey_page(found, form, 409)
    customer = find_customer(session(), form.email.data, form.name.data or "", utc_now())
    _, token = invite(session(), found, customer, {}, utc_now(), form.language.data)
    session().commit()
    link = f"{settings().public_url}/i/{token}"
    return render_template("surveys/invitation.html", survey=found, customer=customer, link=link)
