"""Plays the loop of the made-up company, with the product's own verbs and a clock that is set to the past."""

from __future__ import annotations

import csv
import re
import socket
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_loop import pipeline
from feedback_loop.accounts.models import Team, User
from feedback_loop.accounts.service import add_team, add_user, hash_password, one_time_password
from feedback_loop.actions.closing.service import close
from feedback_loop.actions.models import ActionItem, Status
from feedback_loop.actions.queries import run_of
from feedback_loop.actions.routing.models import RoutingRule
from feedback_loop.actions.runs import service as runs
from feedback_loop.actions.service import add_comment, set_due, take_on
from feedback_loop.clock import utc_now
from feedback_loop.complaints.models import Complaint, Statement, StatementKind
from feedback_loop.db import make_engine, make_sessions, migrate, reading
from feedback_loop.demo import company
from feedback_loop.followups.models import Fixed
from feedback_loop.followups.service import record
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.responses.importing import import_answers
from feedback_loop.responses.models import Answer
from feedback_loop.settings import read_settings
from feedback_loop.supervisor import supervise
from feedback_loop.surveys.models import Survey
from feedback_loop.surveys.service import add_survey

ANSWERS = Path(__file__).parent / "answers.csv"
LOOKS = (32, 15, 0)  # days ago on which the company looked at what it had heard
MOST_RECENT = 1


class DemoFailed(RuntimeError):
    """The demo did not come out as it should; the message says at which stage."""


@dataclass
class SetClock:
    """A clock that shows what it is set to."""

    now: datetime

    def __call__(self) -> datetime:
        """What it shows."""
        return self.now


@dataclass
class Demo:
    """The company, ready to be looked at."""

    context: pipeline.Context
    clock: SetClock
    today: datetime
    environ: dict[str, str]
    password: str
    problem_of: dict[str, str]  # by external id of the sample answers

    def days_ago(self, days: float) -> datetime:
        """A moment before today."""
        return self.today - timedelta(days=days)


def demo_environ(folder: Path, bind: str) -> dict[str, str]:
    """Settings of the demo: everything in one folder, nothing leaves the machine."""
    return {
        "DATA_FOLDER": str(folder),
        "DATABASE_URL": "",
        "SECRET_KEY": "",
        "PUBLIC_URL": f"http://{bind}",
        "BIND": bind,
        "WEB_PROCESSES": "1",
        "COMPANY_NAME": company.NAME,
        "MAIL_TRANSPORT": "mailbox",
        "MAIL_FROM": company.MAIL_FROM,
        "HOLD_MINUTES": "0",
        "EMBEDDING_MODEL": "minilm",
        "RAW_TEXT_DAYS": "30",
        "REFINE_MINUTES": "1",
        "FOLLOW_UP_AFTER_DAYS": "0",  # so that whoever looks need not wait
        "FOLLOW_UP_DAYS": "14",
    }


def build(folder: Path, bind: str, out: Console) -> Demo:
    """Make the company and play its ninety days.

    Args:
        folder: Empty; everything is kept in it.
        bind: Address and port the site will have.
        out: Told what happens.
    """
    environ = demo_environ(folder, bind)
    settings = read_settings(environ)
    engine = make_engine(settings.database_url)
    migrate(engine)
    today = utc_now().replace(microsecond=0)
    clock = SetClock(today - timedelta(days=LOOKS[0]))
    context = pipeline.Context(settings, make_sessions(engine), clock)
    password = one_time_password()
    demo = Demo(context, clock, today, environ, password, {})
    people(demo, hash_password(password))
    out.print("Surveys:     " + ", ".join(f"{name} ({scale.value})" for _, name, _, scale in company.SURVEYS))

    files = sample_files(demo, folder)
    events: list[tuple[float, Callable[[], None]]] = [
        (days, partial(hear, demo, days, files[days], out)) for days in LOOKS
    ]
    for story in company.STORIES:
        events.append((story.taken_on, partial(begin, demo, story)))
        if story.closing:
            events.append((story.closed, partial(finish, demo, story, out)))
    for days, happen in sorted(events, key=lambda event: -event[0]):
        clock.now = demo.days_ago(days)
        happen()
    pipeline.verdicts(context)
    return demo


def people(demo: Demo, password_hash: str) -> None:
    """Teams, people, surveys and routing rules."""
    now = demo.clock()
    with demo.context.sessions.begin() as session:
        teams = {name: add_team(session, name, now) for name in company.TEAMS}
        for person in company.PEOPLE:
            add_user(
                session,
                email=person.email,
                name=person.name,
                role=person.role,
                team=teams[person.team],
                password_hash=password_hash,
                must_change_password=False,
                now=now,
            )
        surveys = {
            slug: add_survey(session, slug=slug, name=name, question=question, scale=scale, now=now)
            for slug, name, question, scale in company.SURVEYS
        }
        for slug, survey in surveys.items():
            survey.tags, survey.reply_days = company.TAGS.get(slug, []), company.REPLY_DAYS
        for position, (keyword, slug, team) in enumerate(company.RULES):
            about = surveys.get(slug)
            session.add(RoutingRule(position=position, keyword=keyword, survey=about, team=teams[team]))


def sample_files(demo: Demo, folder: Path) -> dict[int, list[tuple[str, Path]]]:
    """Write the sample answers as import files.

    Returns:
        For each look (days ago) the surveys and their files of answers given since the look before.
    """
    rows: dict[tuple[int, str], list[dict[str, str]]] = {}
    with ANSWERS.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            days, hour = max(int(row.pop("days_ago")), MOST_RECENT), int(row.pop("hour"))
            demo.problem_of[row["external_id"]] = row.pop("problem")
            moment = demo.days_ago(days).replace(hour=hour, minute=hash_minute(row["external_id"]))
            look = max(look for look in LOOKS if look < days)
            rows.setdefault((look, row.pop("survey")), []).append({**row, "answered_at": moment.isoformat()})
    files: dict[int, list[tuple[str, Path]]] = {look: [] for look in LOOKS}
    for (look, slug), group in sorted(rows.items()):
        path = folder / f"{slug}-{look}.csv"
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(group[0]))
            writer.writeheader()
            writer.writerows(group)
        files[look].append((slug, path))
    return files


def hear(demo: Demo, days: int, files: list[tuple[str, Path]], out: Console) -> None:
    """Import what was answered since the last look, and understand it."""
    when = f"{days} days ago" if days else "today"
    out.print(f"Answers:     {import_files(demo, files):,} more by {when}")
    understand(demo, out)


def hash_minute(external_id: str) -> int:
    """Some minute of the hour, the same each time."""
    return int(re.sub(r"\D", "", external_id) or 0) * 37 % 60


def import_files(demo: Demo, files: list[tuple[str, Path]]) -> int:
    """Import sample answers.

    Raises:
        DemoFailed: A row was refused.
    """
    added = 0
    for slug, path in files:
        with reading(demo.context.sessions) as session:
            survey = session.scalars(select(Survey).where(Survey.slug == slug)).one()
        done = import_answers(demo.context.sessions, demo.context.settings, survey, path, demo.clock())
        if done.rejected:
            raise DemoFailed(f"{done.rejected} sample answers of {slug} were rejected.")
        added += done.added
    return added


def understand(demo: Demo, out: Console) -> None:
    """Analyse, refine, open action items."""
    pipeline.understand(demo.context)
    run = pipeline.refine_now(demo.context)
    if run is None:
        raise DemoFailed("There was nothing to refine.")
    with reading(demo.context.sessions) as session:
        counts = session.execute(
            select(Statement.kind, func.count()).where(Statement.position == 0).group_by(Statement.kind)
        )
        kinds = Counter(dict(counts.all()))
        items = session.scalar(select(func.count()).select_from(ActionItem))
    out.print(
        f"Understood:  {kinds[StatementKind.PROBLEM]} problems, {kinds[StatementKind.PRAISE]} praise, "
        f"{kinds[StatementKind.NON_ANSWER]} say nothing"
    )
    kept = "" if run.kept is None else f"; {run.kept:.0%} of earlier statements kept their complaint"
    out.print(
        f"Complaints:  {run.complaints} ({run.new_complaints} new), {run.coverage or 0:.0%} of problems covered{kept}; "
        f"{items} action items"
    )


def item_of(demo: Demo, session: Session, problem: str) -> ActionItem:
    """The action item of the complaint that holds most of a problem's sample answers.

    Raises:
        DemoFailed: No complaint holds three of them.
    """
    ids = [external_id for external_id, name in demo.problem_of.items() if name == problem]
    row = session.execute(
        select(Statement.complaint_id, func.count().label("said"))
        .join(Answer, Answer.id == Statement.answer_id)
        .where(Answer.external_id.in_(ids), Statement.complaint_id.is_not(None))
        .group_by(Statement.complaint_id)
        .order_by(func.count().desc(), Statement.complaint_id)
        .limit(1)
    ).first()
    if row is None or row.said < 3:
        raise DemoFailed(f"No complaint holds the answers about {problem}.")
    return session.scalars(select(ActionItem).where(ActionItem.complaint_id == row.complaint_id)).one()


def begin(demo: Demo, story: company.Story) -> None:
    """Somebody takes an item on."""
    with demo.context.sessions.begin() as session:
        item = item_of(demo, session, story.problem)
        owner = session.scalars(select(User).where(User.email == story.owner)).one()
        if item.status != Status.NEW:
            return
        if item.team_id != owner.team_id:
            item.team = session.get_one(Team, owner.team_id)
        take_on(session, item, owner, demo.clock())
        add_comment(session, item, story.comment, owner, demo.clock() + timedelta(hours=3))
        if story.due is not None:
            set_due(session, item, demo.days_ago(-story.due), owner, demo.clock() + timedelta(hours=3, minutes=5))


def finish(demo: Demo, story: company.Story, out: Console) -> None:
    """The item is closed, customers are told, and some of them answer."""
    assert story.closing is not None
    context = demo.context
    with context.sessions.begin() as session:
        item = item_of(demo, session, story.problem)
        if item.status not in (Status.NEW, Status.IN_PROGRESS):
            return
        owner = session.scalars(select(User).where(User.email == story.owner)).one()
        closure = close(session, item, story.closing, owner, demo.clock(), context.settings)
        run = run_of(session, closure)
        if run is not None:
            runs.release(session, run, owner, demo.clock(), context.settings)
        name, event = item.complaint.name, closure.event
    sent = pipeline.send_mail(context)
    pipeline.settle_runs(context)
    with reading(context.sessions) as session:
        told = session.scalars(
            select(Notification.id).where(Notification.event == event, Notification.state == NotificationState.SENT)
        ).all()
    answers = [(Fixed.YES, "")] * story.yes + [(Fixed.NO, comment) for comment in story.no]
    said = Counter[str]()
    for hours, (notification_id, (fixed, comment)) in enumerate(zip(told, answers, strict=False), 1):
        moment = min(demo.clock() + timedelta(hours=5 * hours), demo.today)
        with context.sessions.begin() as session:
            notification = session.get_one(Notification, notification_id)
            record(session, notification, fixed, comment, moment, context.settings)
        said[fixed.value] += 1
    with reading(context.sessions) as session:
        status = session.scalars(select(ActionItem.status).join(Complaint).where(Complaint.name == name)).first()
    words = ", ".join(f"{count} {word}" for word, count in sorted(said.items(), reverse=True)) or "no answer yet"
    outcome = story.closing.outcome.value
    out.print(f"Closed:      “{name}” ({outcome}), {sent} mails sent; {words} → {status.value if status else ''}")


def free_port(wanted: int = 8000) -> int:
    """The wanted port of the loopback interface, or the next one that is free."""
    for port in range(wanted, wanted + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise DemoFailed(f"No port from {wanted} to {wanted + 99} is free; choose one with --bind 127.0.0.1:PORT.")


@contextmanager
def demo_folder() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="feedback-loop-demo-") as folder:
        yield Path(folder)


def run_demo(out: Console, bind: str | None) -> int:
    """Build the company and serve it until Ctrl-C.

    Returns:
        The exit code.
    """
    address = bind or f"127.0.0.1:{free_port()}"
    with demo_folder() as folder:
        out.print(f"Making {company.NAME}, a company that does not exist …")
        demo = build(folder, address, out)
        url = demo.environ["PUBLIC_URL"]

        def announce() -> None:
            for _ in range(100):
                try:
                    urllib.request.urlopen(f"{url}/sign-in", timeout=2).close()  # noqa: S310 (our own address)
                    break
                except (urllib.error.URLError, OSError):
                    time.sleep(0.2)
            out.print(
                Panel(
                    f"Open      {url}\n"
                    f"Sign in   {company.LEAD.email}\nPassword  {demo.password}\n\n"
                    f"Admin     ada@fernhill.example, the same password\n"
                    f"Survey    {url}/s/help-centre\n"
                    f"Mailbox   {url}/demo/mailbox\n\n"
                    "The mailbox holds what customers got; nothing leaves this machine.\n"
                    "Ctrl-C stops the demo and removes everything.",
                    title=company.NAME,
                    expand=False,
                )
            )

        def ready() -> None:
            threading.Thread(target=announce, daemon=True).start()

        return supervise({"web": ["serve"], "worker": ["worker"]}, demo.environ, ready)
