"""Pages of mailings: the list, a new one, its review, its progress, its people."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import asdict

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from feedback_loop.accounts.access import staff
from feedback_loop.accounts.login import me
from feedback_loop.accounts.models import Role
from feedback_loop.clock import utc_now
from feedback_loop.csvcells import safe
from feedback_loop.db import clean_text, reading
from feedback_loop.responses.anonymity import REFUSAL
from feedback_loop.responses.csvfiles import ImportFailed
from feedback_loop.responses.mailings import queries, service
from feedback_loop.responses.mailings.forms import WEEKDAYS, MailingForm, PlanForm
from feedback_loop.responses.mailings.models import Mailing, MailingState
from feedback_loop.responses.mailings.reading import read_list
from feedback_loop.responses.queries import availability_of
from feedback_loop.surveys.availability import REASONS, Availability
from feedback_loop.surveys.models import Survey
from feedback_loop.surveys.queries import by_slug
from feedback_loop.surveys.scales import SCALES
from feedback_loop.web.database import session, sessions, settings
from feedback_loop.web.filters import plural
from feedback_loop.web.navigation import page_number
from feedback_loop.web.uploads import takes_file

bp = Blueprint("mailings", __name__, url_prefix="/surveys/<slug>/mailings")

Reply = str | tuple[str, int] | Response
FILE_AGAIN = "Choose the file again: browsers do not keep it."
EXAMPLE_PEOPLE = 1000  # for whom a mailing without a list says how long it takes


def survey_or_404(slug: str) -> Survey:
    """The survey of an address."""
    return by_slug(session(), slug) or abort(404, "There is no such survey.")


def mailing_or_404(slug: str, mailing_id: int) -> Mailing:
    """The mailing of an address."""
    return queries.mailing(session(), slug, mailing_id) or abort(404, "There is no such mailing.")


def back_to(slug: str, mailing_id: int) -> Response:
    """To the page of a mailing."""
    return redirect(url_for(".mailing", slug=slug, mailing_id=mailing_id))


@bp.errorhandler(service.Refused)
def refused(error: service.Refused) -> Response:
    """A verb said no: show the mailing as it is now, and why."""
    flash(str(error), "problem")
    values = request.view_args or {}
    if "mailing_id" in values:
        return back_to(values["slug"], values["mailing_id"])
    return redirect(url_for(".index", slug=values["slug"]))


@bp.get("")
@staff(Role.VIEWER)
def index(slug: str) -> Reply:
    """All mailings of a survey."""
    survey = survey_or_404(slug)
    return render_template(
        "mailings/index.html", survey=survey, rows=queries.mailings(session(), survey), obstacle=obstacle(survey)
    )


def obstacle(survey: Survey) -> str:
    """Why nobody could answer a survey now, and what to do about it; empty where everybody could."""
    standing = availability_of(session(), survey, utc_now())
    return "" if standing == Availability.OPEN else REASONS[standing]


@bp.route("/new", methods=["GET", "POST"])
@staff(Role.ADMIN)
@takes_file
def new(slug: str) -> Reply:
    """Put a mailing together."""
    if survey_or_404(slug).is_anonymous:
        raise service.Refused(REFUSAL)
    form = MailingForm()
    if form.validate_on_submit():
        now = utc_now()
        try:
            with form.stream() as stream:
                lines = list(read_list(stream, clean_text(form.file.data.filename or "The file"), now))
            mailing = service.draft(session(), survey_or_404(slug), form.plan(), lines, me(), now, settings())
        except (ImportFailed, service.Refused) as error:
            session().rollback()
            form.file.errors = [str(error)]
        else:
            session().commit()
            return back_to(slug, mailing.id)
    if form.errors and form.file.data and not form.file.errors:
        form.file.errors = [FILE_AGAIN]
    with reading(sessions()) as own:
        survey = by_slug(own, slug) or abort(404)
        page = render_template("mailings/new.html", survey=survey, form=form, mailing=None, **estimate_of(form, None))
    return page, 400 if form.is_submitted() else 200


@bp.route("/<int:mailing_id>/settings", methods=["GET", "POST"])
@staff(Role.ADMIN)
def change(slug: str, mailing_id: int) -> Reply:
    """Change how a draft is to go out."""
    mailing = mailing_or_404(slug, mailing_id)
    form = PlanForm(mailing=mailing)
    service.demand(mailing, MailingState.DRAFT)
    if form.validate_on_submit():
        service.change(session(), mailing, form.plan())
        session().commit()
        return back_to(slug, mailing_id)
    zones = queries.review(session(), mailing, utc_now(), settings()).zones
    return render_template(
        "mailings/change.html", survey=mailing.survey, form=form, mailing=mailing, **estimate_of(form, zones)
    ), 400 if form.is_submitted() else 200


@bp.post("/estimate")
@staff(Role.ADMIN)
def estimate(slug: str) -> Reply:
    """When the mails would go out, while the settings are being changed."""
    with reading(sessions()) as own:
        mailing = queries.mailing(own, slug, request.args.get("mailing", 0, type=int))
        zones = queries.review(own, mailing, utc_now(), settings()).zones if mailing else None
    return render_template("mailings/parts/estimate.html", **estimate_of(PlanForm(), zones))


def estimate_of(form: PlanForm, zones: Counter[str] | None) -> dict[str, object]:
    """What the part about times needs: when a mailing with these settings would go out if it were started now.

    Args:
        form: With the settings, right or not.
        zones: How many people live in which time zone; a thousand in the default one where there is no list yet.
    """
    is_example = zones is None
    zones = Counter({settings().default_time_zone: EXAMPLE_PEOPLE}) if zones is None else zones
    try:
        plan = form.plan()
        is_sound = plan.rate > 0 and plan.weekdays > 0 and plan.opens < plan.closes
        span = queries.expected(Mailing(**asdict(plan)), zones, utc_now()) if is_sound else None
    except TypeError:  # a field holds no number
        span = None
    return {"span": span, "people": zones.total(), "is_example": is_example, "zone": settings().default_time_zone}


@bp.get("/<int:mailing_id>")
@staff(Role.VIEWER)
def mailing(slug: str, mailing_id: int) -> Reply:
    """Who gets what? Before it is started a review, afterwards how far it is."""
    found, now = mailing_or_404(slug, mailing_id), utc_now()
    shown = {"survey": found.survey, "mailing": found, "weekdays": days_of(found), "obstacle": obstacle(found.survey)}
    if found.state != MailingState.DRAFT:
        return render_template(
            "mailings/progress.html",
            progress=queries.progress(session(), found),
            is_watched=found.state == MailingState.SENDING,
            **shown,
        )
    review = queries.review(session(), found, now, settings())
    person = queries.recipient(session(), found, review.first) if review.first else None
    return render_template(
        "mailings/review.html",
        review=review,
        person=person,
        mail=service.preview(found, person, now, settings()) if person else None,
        **shown,
    )


def days_of(mailing: Mailing) -> str:
    """The days of a mailing in words."""
    if mailing.weekdays == 0b1111111:
        return "every day"
    if mailing.weekdays == 0b0011111:
        return "Monday to Friday"
    return ", ".join(name for day, name in enumerate(WEEKDAYS) if mailing.weekdays >> day & 1)


@bp.post("/<int:mailing_id>/start")
@staff(Role.ADMIN)
def start(slug: str, mailing_id: int) -> Reply:
    """Begin to send to as many as the button said."""
    found = mailing_or_404(slug, mailing_id)
    expected = request.form.get("asked", 0, type=int)
    service.start(session(), found, expected, utc_now(), settings())
    session().commit()
    flash(f"Started: {plural(expected, 'person', 'people')} will be asked. You can stop it at any moment.")
    return back_to(slug, mailing_id)


@bp.post("/<int:mailing_id>/stop")
@staff(Role.ADMIN)
def stop(slug: str, mailing_id: int) -> Reply:
    """Send no more."""
    count = service.stop(session(), mailing_or_404(slug, mailing_id), utc_now())
    session().commit()
    flash(f"Stopped. {plural(count, 'mail', 'mails')} will not go out, and nobody is reminded.")
    return back_to(slug, mailing_id)


@bp.post("/<int:mailing_id>/discard")
@staff(Role.ADMIN)
def discard(slug: str, mailing_id: int) -> Reply:
    """Throw a draft away."""
    found = mailing_or_404(slug, mailing_id)
    name = found.name
    service.discard(session(), found)
    session().commit()
    flash(f"The draft “{name}” and its list are gone. Nobody was asked.")
    return redirect(url_for(".index", slug=slug))


@bp.post("/<int:mailing_id>/test")
@staff(Role.ADMIN)
def test(slug: str, mailing_id: int) -> Reply:
    """Send the mail to whoever asks for it."""
    service.send_test(session(), mailing_or_404(slug, mailing_id), me(), utc_now(), settings())
    session().commit()
    flash(f"A test is on its way to {me().email}. It counts nowhere.")
    return back_to(slug, mailing_id)


@bp.get("/<int:mailing_id>/tried")
@staff(Role.VIEWER)
def tried(slug: str, mailing_id: int) -> Reply:
    """Where the links of a test lead: nothing is recorded."""
    found = mailing_or_404(slug, mailing_id)
    choices = SCALES[found.survey.scale].choices
    chosen = next((choice.label for choice in choices if choice.written == request.args.get("score")), "")
    return render_template("mailings/tried.html", survey=found.survey, mailing=found, chosen=chosen)


@bp.get("/<int:mailing_id>/people")
@staff(Role.VIEWER)
def people(slug: str, mailing_id: int) -> Reply:
    """Each person of the list, where they stand, and why."""
    found = mailing_or_404(slug, mailing_id)
    wanted = request.args.get("state", "")
    wanted = wanted if wanted in queries.OUTCOMES else ""
    text = clean_text(request.args.get("q", "")).strip()[:100]
    return render_template(
        "mailings/people.html",
        survey=found.survey,
        mailing=found,
        wanted=wanted,
        text=text,
        page=queries.people(session(), found, wanted, text, page_number()),
    )


@bp.get("/<int:mailing_id>/people/<int:recipient_id>")
@staff(Role.VIEWER)
def person(slug: str, mailing_id: int, recipient_id: int) -> Reply:
    """The mail as one person reads it."""
    found = mailing_or_404(slug, mailing_id)
    recipient = queries.recipient(session(), found, recipient_id) or abort(404, "There is no such person on the list.")
    mail = service.preview(found, recipient, utc_now(), settings())
    return render_template("mailings/person.html", survey=found.survey, mailing=found, person=recipient, mail=mail)


@bp.get("/<int:mailing_id>/rejects.csv")
@staff(Role.ADMIN)
def rejects(slug: str, mailing_id: int) -> Reply:
    """The lines that ask nobody, with the reason, to be put right and sent again."""
    found = mailing_or_404(slug, mailing_id)
    out = io.StringIO()
    writer = csv.writer(out)
    for row in queries.rejects(session(), found):
        front = [row.line, row.reason] if row.cause else ["rejected_line", "rejected_because"]
        writer.writerow([safe(cell) for cell in [*front, *row.cells]])
    headers = {"Content-Disposition": f'attachment; filename="mailing-{found.id}-rejected.csv"'}
    return Response(out.getvalue(), mimetype="text/csv", headers=headers)
