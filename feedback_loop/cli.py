"""The command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import TextColumn

from feedback_loop.clock import utc_now
from feedback_loop.commands.backup import backup, restore
from feedback_loop.commands.console import (
    bar,
    err,
    fail,
    give_way,
    guarded,
    log_to_terminal,
    open_database,
    out,
    settings_or_fail,
    warn_of_sqlite,
)
from feedback_loop.commands.customer import customer
from feedback_loop.commands.doctor import doctor
from feedback_loop.commands.inbound import inbound
from feedback_loop.commands.mail import mail
from feedback_loop.commands.moving import move_db
from feedback_loop.db import make_engine, make_sessions, migrate, reading
from feedback_loop.jobs.bell import Queue, is_rung
from feedback_loop.memory import keep_together
from feedback_loop.store import presence

if TYPE_CHECKING:
    from sqlalchemy import Engine

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=CONTEXT)
@click.version_option(package_name="feedback-loop")
def main() -> None:
    """Customer feedback that closes the loop.

    Customers answer one question. What they write is grouped into repeated complaints; each becomes an action item
    of a team. Closing it tells the customers who raised it, asks whether it is fixed, and reopens it if not.

    \b
    First steps:  feedback-loop demo            look around in a made-up company
                  feedback-loop init            prepare the database and make an admin
                  feedback-loop up              run web and worker

    Settings come from the environment; docs/operating.md lists them. Without DATABASE_URL everything is kept in one
    SQLite file in DATA_FOLDER (./data).
    """


@main.command()
@click.option("--admin-email", default="admin@localhost", show_default=True, help="Address the admin signs in with.")
@click.option(
    "--admin-password", default=None, help="Password of the admin. Without it a one-time password is printed."
)
@guarded
def init(admin_email: str, admin_password: str | None) -> None:
    """Prepare the database and make the first admin. Asks nothing; safe to repeat, and the way to upgrade."""
    from sqlalchemy import select
    from sqlalchemy.exc import SQLAlchemyError

    from feedback_loop.accounts.models import Role, User
    from feedback_loop.accounts.service import add_user, ensure_team, hash_password, one_time_password
    from feedback_loop.actions.levels.service import ensure_level

    settings = settings_or_fail()
    if admin_password is not None and len(admin_password) < 10:
        fail("--admin-password is too short: give at least 10 characters.")
    try:
        presence.announce(settings.database_url)
    except presence.InUse as error:
        fail(str(error))
    engine = make_engine(settings.database_url)
    try:
        migrate(engine)
    except SQLAlchemyError as error:
        fail(f"The database cannot be prepared: {getattr(error, 'orig', error)}. Check DATABASE_URL.")
    out.print(f"Database ready: {engine.url.render_as_string(hide_password=True)}")
    if is_rung(settings):
        prepare_engine(engine)
    sessions = make_sessions(engine)
    with reading(sessions) as session:
        exists = session.scalar(select(User.email).where(User.role == Role.ADMIN, User.is_active).limit(1))
    if exists:
        out.print(f"There is an admin already: {exists}")
        return
    password = admin_password or one_time_password()
    password_hash = hash_password(password)
    with sessions.begin() as session:
        ensure_team(session, utc_now())
        ensure_level(session, settings.default_time_zone, utc_now())
        try:
            add_user(
                session, email=admin_email, name="Admin", role=Role.ADMIN, team=None, password_hash=password_hash,
                must_change_password=admin_password is None, now=utc_now(),
            )  # fmt: skip
        except ValueError as error:
            fail(str(error))
    out.print(f"Admin: {admin_email}")
    if admin_password is None:
        out.print(f"One-time password: {password}")
        out.print("You will choose your own at the first sign-in.")
    out.print(f"Next: feedback-loop up, then open {settings.public_url}")


def prepare_engine(engine: Engine) -> None:
    """Make the tables of the engine. Where that is not allowed, the clock does without."""
    from sqlalchemy.exc import SQLAlchemyError

    from feedback_loop.jobs.engine import prepare

    try:
        if prepare(engine):
            out.print("Engine ready: workers are told of new work at once.")
    except SQLAlchemyError as error:
        err.print(
            f"[yellow]Note:[/yellow] the engine could not be prepared ({getattr(error, 'orig', error)}). Workers look "
            "for work every few seconds instead. Let this user make schemas and run init again, or set ENGINE=clock."
        )


@main.command()
@guarded
def serve() -> None:
    """Run the web server (gunicorn) on BIND. Loads no model; run a worker beside it."""
    from feedback_loop.web.server import Server

    keep_together()
    settings = settings_or_fail()
    open_database(settings)
    warn_of_sqlite(settings)
    log_to_terminal(settings)

    def build() -> Any:
        # After the fork: connections are not to be shared between processes.
        from feedback_loop.app import create_app

        return create_app(settings, make_sessions(make_engine(settings.database_url)))

    err.print(f"Serving {settings.public_url} on {settings.bind}")
    sys.argv = sys.argv[:1]  # gunicorn would read our arguments as its own
    Server(settings, build).run()


@main.command()
@click.option(
    "--queue",
    "queues",
    multiple=True,
    type=click.Choice([queue.value for queue in Queue]),
    help="Look only after the steps of this queue; may be repeated. All by default.",
)
@click.option(
    "--concurrency",
    default=None,
    type=click.IntRange(1, 64),
    help="So many steps of one queue at work at once; all of them by default.",
)
@guarded
def worker(queues: tuple[str, ...], concurrency: int | None) -> None:  # fmt: skip
    """Run the background process: analysis, refines, mails, verdicts. As many as you like on PostgreSQL, one on
    SQLite.

    Which step is of which queue stands in docs/operating.md. Some worker must look after each of them.
    """
    from feedback_loop.jobs.alone import AnotherWorker, alone
    from feedback_loop.pipeline import Context
    from feedback_loop.worker import run

    keep_together()
    give_way()
    settings = settings_or_fail()
    sessions = open_database(settings)
    warn_of_sqlite(settings)
    log_to_terminal(settings)
    try:
        with alone(settings.database_url):
            run(Context(settings, sessions, refines_apart=True), [Queue(name) for name in queues], concurrency)
    except AnotherWorker as error:
        fail(str(error))


@main.command()
@guarded
def up() -> None:
    """Run web and worker, two processes on one database. Ctrl-C stops both."""
    from feedback_loop.supervisor import supervise

    settings = settings_or_fail()
    open_database(settings)
    log_to_terminal(settings)
    sys.exit(supervise({"web": ["serve"], "worker": ["worker"]}))


@main.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--survey", "slug", required=True, help="Slug of the survey the answers belong to; made if it is not there."
)
@guarded
def import_(file: Path, slug: str) -> None:
    """Import answers from a CSV file.

    Columns: external_id, customer_email, customer_name, score, comment, answered_at; any other becomes context.
    Scores as the scale writes them: yes/no, 1-5, 0-10. Importing a file
    again adds nothing: rows are known by their external_id, or without one by line and content. Bad rows go to
    FILE.rejected.csv with the reason.
    """
    from feedback_loop.responses.csvfiles import ImportFailed
    from feedback_loop.responses.importing import Imported, import_answers
    from feedback_loop.responses.queries import survey_by_slug
    from feedback_loop.surveys.models import ScaleName
    from feedback_loop.surveys.service import add_survey

    settings = settings_or_fail()
    sessions = open_database(settings)
    with sessions.begin() as session:
        survey = survey_by_slug(session, slug)
        if survey is None:
            try:
                name = slug.replace("-", " ").capitalize()
                survey = add_survey(session, slug=slug, name=name, question="", scale=ScaleName.HELPFUL, now=utc_now())
            except ValueError as error:
                fail(str(error))
            out.print(f"There was no survey {slug}; made one on the helpful scale (yes/no): “{survey.question}”")
    with bar(TextColumn("{task.percentage:>3.0f} %"), TextColumn("{task.fields[rows]:,} rows")) as progress:
        task = progress.add_task(f"Importing {file.name}", total=max(1, file.stat().st_size), rows=0)

        def show(read: int, counts: Imported) -> None:
            progress.update(task, completed=read, rows=counts.rows)

        try:
            done = import_answers(sessions, settings, survey, file, utc_now(), show)
        except ImportFailed as error:
            fail(str(error))
    out.print(f"{done.added:,} answers added, {done.known:,} were known already, {done.rejected:,} rejected.")
    if done.rejected_file:
        out.print(f"The rejected rows and the reasons are in {done.rejected_file}")
    if done.added:
        out.print("A running worker analyses them; without one, run: feedback-loop analyse, then feedback-loop refine")


@main.command()
@guarded
def analyse() -> None:
    """Analyse waiting answers now: redact, split into statements, embed, assign to known complaints."""
    from sqlalchemy import func, or_, select

    from feedback_loop import pipeline
    from feedback_loop.jobs.sharedclock import compared
    from feedback_loop.responses.models import Answer

    sessions = open_database(settings_or_fail())
    context = pipeline.Context(settings_or_fail(), sessions, compared(sessions))
    with reading(context.sessions) as session:
        waiting = select(func.count()).where(or_(Answer.redacted_at.is_(None), Answer.analysed_at.is_(None)))
        total = session.scalar(waiting) or 0
    with bar(TextColumn("{task.completed:,}/{task.total:,}")) as progress:
        task = progress.add_task("Redacting", total=total)
        pipeline.redact(context)
        progress.update(task, description="Analysing")
        done = pipeline.analyse(context, lambda count: progress.advance(task, count))
    out.print(f"{done:,} answers analysed.")


@main.command()
@click.option("--seed", default=1, show_default=True, help="Seed of the clustering.")
@guarded
def refine(seed: int) -> None:
    """Look for new complaints now, and let statements move where they clearly belong elsewhere."""
    from feedback_loop import pipeline
    from feedback_loop.complaints.service.refine import RefineRunning
    from feedback_loop.jobs.sharedclock import compared

    give_way()
    sessions = open_database(settings_or_fail())
    context = pipeline.Context(settings_or_fail(), sessions, compared(sessions))
    with bar(TextColumn("{task.percentage:>3.0f} %")) as progress:
        task = progress.add_task("Refining", total=1.0)
        try:
            run = pipeline.refine_now(
                context, seed, lambda step, share: progress.update(task, description=step, completed=share)
            )
        except RefineRunning as error:
            fail(str(error))
    if run is None:
        out.print("Fewer than five statements that name a problem: nothing to compare yet.")
        return
    kept = "" if run.kept is None else f" {run.kept:.1%} of those placed before kept their complaint."
    out.print(
        f"{run.complaints} complaints ({run.new_complaints} new) over {run.statements:,} statements, "
        f"{run.coverage or 0:.1%} of them in a complaint.{kept}"
    )


@main.command()
@click.argument("labelled", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--batches", default=1, show_default=True, type=click.IntRange(1, 1000), help="Stream the texts in so many batches."
)
@click.option("--seed", default=1, show_default=True, help="Seed of the shuffle and the clustering.")
@guarded
def evaluate(labelled: Path, batches: int, seed: int) -> None:
    """Measure the analysis on labelled texts (columns text, label) in a scratch database; prints one JSON object."""
    from feedback_loop.evaluate import LabelledFileError
    from feedback_loop.evaluate import evaluate as run

    with err.status("Reading") as status:
        try:
            figures = run(labelled, settings_or_fail(), batches, seed, status.update)
        except LabelledFileError as error:
            fail(str(error))
    click.echo(json.dumps(figures))


@main.command()
@click.argument("table", type=click.Choice(["answers", "statements", "complaints", "actions"]))
@click.argument("file", type=click.Path(dir_okay=False, writable=True, path_type=Path))
@guarded
def export(table: str, file: Path) -> None:
    """Write a table to a CSV file."""
    from feedback_loop.reports.exports import export as run

    sessions = open_database(settings_or_fail())
    if not file.parent.is_dir():
        fail(f"There is no folder {file.parent}.")
    with err.status(f"Writing {table}") as status, reading(sessions) as session:
        count = run(session, table, file, lambda lines: status.update(f"Writing {table}: {lines:,} lines"))
    out.print(f"{count:,} {table} written to {file}")


@main.command()
@click.option("--check", is_flag=True, help="Play the whole loop, print what was seen at each stage, and exit.")
@click.option("--bind", default=None, help="Address and port of the demo site; 127.0.0.1:8000 or the next free port.")
@guarded
def demo(check: bool, bind: str | None) -> None:
    """Look around in a made-up company: sample answers, complaints, closings, mails and verdicts.

    Everything lies in a temporary folder that is removed at the end; no mail leaves this machine.
    """
    from feedback_loop.demo.play import DemoFailed, run_demo
    from feedback_loop.demo.walk import check_demo

    try:
        if check:
            check_demo(out)
        else:
            log_to_terminal()
            sys.exit(run_demo(out, bind))
    except DemoFailed as error:
        fail(str(error))


for each in (backup, customer, doctor, inbound, mail, move_db, restore):
    main.add_command(each)

if __name__ == "__main__":
    main()
