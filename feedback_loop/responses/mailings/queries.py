"""Named reads of mailings, their people and what came of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, String, case, cast, func, literal, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from feedback_loop.notifications.budget import Budget
from feedback_loop.notifications.models import Notification, NotificationState, Suppression
from feedback_loop.notifications.queries import was_contact
from feedback_loop.responses.mailings.deciding import Facts, LeftOut, Span, leave_out, span
from feedback_loop.responses.mailings.models import KIND, REMINDER, Mailing, Recipient, RecipientState, Reject
from feedback_loop.responses.mailings.reading import OWN_EXPERIENCE
from feedback_loop.responses.models import Answer, Customer, Invitation
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import Survey
from feedback_loop.web.paging import Page, offset

PEOPLE_A_PAGE = 50
OUTCOMES = ("answered", "asked", "waiting", "not_asked")


def mailing(session: Session, slug: str, mailing_id: int) -> Mailing | None:
    """A mailing of a survey, or None."""
    return session.scalar(
        select(Mailing)
        .join(Survey)
        .where(Mailing.id == mailing_id, Survey.slug == slug)
        .options(joinedload(Mailing.survey), joinedload(Mailing.made_by))
    )


@dataclass(frozen=True)
class Row:
    """A mailing as a list shows it. Counts of people."""

    mailing: Mailing
    people: int
    asked: int


def mailings(session: Session, survey: Survey) -> Sequence[Row]:
    """All mailings of a survey, the newest first."""
    rows = session.execute(
        select(Mailing, func.count(Recipient.id))
        .outerjoin(Recipient, Recipient.mailing_id == Mailing.id)
        .where(Mailing.survey_id == survey.id)
        .group_by(Mailing.id)
        .options(selectinload(Mailing.made_by))
        .order_by(Mailing.id.desc())
    ).all()
    asked = dict(
        session.execute(
            select(Notification.event, func.count())
            .where(
                Notification.event.in_([mailing.event for mailing, _ in rows]),
                Notification.kind == KIND,
                Notification.state == NotificationState.SENT,
            )
            .group_by(Notification.event)
        ).all()
    )
    return [Row(mailing, people, asked.get(mailing.event, 0)) for mailing, people in rows]


def decisions(
    session: Session, mailing: Mailing, where: Sequence[ColumnElement[bool]], now: datetime, settings: Settings
) -> Iterator[tuple[int, str, LeftOut | None]]:
    """Which of those who wait would be asked now: id, time zone, and why not.

    Args:
        session: A session that reads.
        mailing: Whose people.
        where: Which of them.
        now: The present moment.
        settings: For the contact budget.
    """
    budget = Budget(settings.contact_limit, settings.contact_days)
    of_survey = (Invitation.customer_id == Customer.id) & (Invitation.survey_id == mailing.survey_id)
    same = of_survey & (Invitation.experience == Recipient.experience)
    # Asked only for those of whom the list says nothing else: about an experience people may always be asked.
    in_general = Recipient.experience.startswith(OWN_EXPERIENCE)
    answered = (Answer.customer_id == Customer.id) & (Answer.survey_id == mailing.survey_id)
    rows = session.execute(
        select(
            Recipient.id,
            Recipient.time_zone,
            Recipient.experience,
            select(Suppression.id).where(Suppression.address == Recipient.email).exists().label("no_mail"),
            select(Invitation.id).where(same).exists().label("same"),
            select(Answer.id).join(Invitation, Invitation.id == Answer.invitation_id).where(same).exists().label("did"),
            case((in_general, select(func.max(Invitation.created_at)).where(of_survey).scalar_subquery())).label(
                "invited_at"
            ),
            case((in_general, select(func.max(Answer.answered_at)).where(answered).scalar_subquery())).label(
                "answered_at"
            ),
            select(func.count())
            .select_from(Notification)
            .where(Notification.address == Recipient.email, was_contact(budget, now))
            .scalar_subquery()
            .label("mails"),
        )
        .outerjoin(Customer, Customer.email == Recipient.email)
        .where(Recipient.mailing_id == mailing.id, Recipient.state == RecipientState.WAITING, *where)
        .order_by(Recipient.id)
    )
    for row in rows:
        facts = Facts(
            no_mail=row.no_mail,
            same_experience=row.same,
            answered_it=row.did,
            last_invited_at=row.invited_at,
            last_answered_at=row.answered_at,
            mails=row.mails,
            has_experience=not row.experience.startswith(OWN_EXPERIENCE),
        )
        yield row.id, row.time_zone, leave_out(facts, mailing.ask_again_days, budget, now)


@dataclass(frozen=True)
class Review:
    """What would happen if a draft were started now.

    Attributes:
        asked: How many would be asked.
        left_out: How many would not, by cause, the most first.
        first: Id of the first who would be asked; None for nobody.
        span: When the mails would go out; None for nobody, or where it takes more than a year.
        zones: How many would be asked in each time zone.
    """

    asked: int
    left_out: Sequence[tuple[str, int]]
    first: int | None
    span: Span | None
    zones: Counter[str]

    @property
    def not_asked(self) -> int:
        """How many would not be asked."""
        return sum(count for _, count in self.left_out)


def review(session: Session, mailing: Mailing, now: datetime, settings: Settings) -> Review:
    """Look at a draft: who would be asked, who not and why, and when."""
    zones: Counter[str] = Counter()
    causes: Counter[str] = Counter(
        dict(
            session.execute(
                select(Reject.cause, func.count())
                .where(Reject.mailing_id == mailing.id, Reject.cause != "")
                .group_by(Reject.cause)
            ).all()
        )
    )
    first = None
    for id, zone, left_out in decisions(session, mailing, [], now, settings):
        if left_out:
            causes[left_out.cause.value] += 1
        else:
            zones[zone] += 1
            first = first or id
    return Review(zones.total(), causes.most_common(), first, expected(mailing, zones, now), zones)


def expected(mailing: Mailing, zones: Counter[str], start: datetime) -> Span | None:
    """When the mails to people in these time zones would go out."""
    return span(zones, mailing.rate, {zone: mailing.hours(zone) for zone in zones}, start)


def its_mail(mailing: Mailing) -> ColumnElement[bool]:
    """Joins a person of a mailing with the notification that invited them."""
    recipient = literal("invitation:").concat(cast(Recipient.invitation_id, String))
    return (Notification.recipient == recipient) & (Notification.event == mailing.event) & (Notification.kind == KIND)


def outcome() -> ColumnElement[str]:
    """Where a person of a mailing stands, as one of `OUTCOMES`."""
    unsent = Notification.state.in_([NotificationState.SKIPPED, NotificationState.FAILED, NotificationState.BOUNCED])
    # One look into an index for each; asked to join or whether there is one, PostgreSQL goes through all answers.
    answered = select(Answer.invitation_id).where(Answer.invitation_id == Recipient.invitation_id)
    return case(
        (answered.correlate(Recipient).scalar_subquery().is_not(None), "answered"),
        (or_(Recipient.state == RecipientState.LEFT_OUT, unsent), "not_asked"),
        (Notification.state == NotificationState.SENT, "asked"),
        else_="waiting",
    )


@dataclass(frozen=True)
class Progress:
    """How a mailing stands. Counts of people.

    Attributes:
        counts: By outcome.
        reasons: Why people were not asked, the most frequent first.
        reminders: Reminders sent.
        rejected: Lines of the list that asked nobody.
        waits_until: Before this nothing more is done; None where nothing is to be done.
    """

    counts: dict[str, int]
    reasons: Sequence[tuple[str, int]]
    reminders: int
    rejected: int
    waits_until: datetime | None

    @property
    def people(self) -> int:
        """All of the list."""
        return sum(self.counts.values())

    @property
    def sent(self) -> int:
        """Those who got the mail."""
        return self.counts["asked"] + self.counts["answered"]


def progress(session: Session, mailing: Mailing) -> Progress:
    """How a mailing stands."""
    what = outcome().label("what")
    reason = func.coalesce(func.nullif(Recipient.reason, ""), Notification.reason, "").label("reason")
    people = (
        select(what, case((what == "not_asked", reason), else_="").label("reason"))
        .select_from(Recipient)
        .outerjoin(Notification, its_mail(mailing))
        .where(Recipient.mailing_id == mailing.id)
        .subquery()
    )
    rows = session.execute(
        select(people.c.what, people.c.reason, func.count())
        .group_by(people.c.what, people.c.reason)
        .order_by(func.count().desc(), people.c.reason)
    ).all()
    counts = dict.fromkeys(OUTCOMES, 0)
    for name, _, count in rows:
        counts[name] += count
    reminders = session.scalar(
        select(func.count())
        .select_from(Notification)
        .where(
            Notification.event.in_(mailing.events),
            Notification.kind == REMINDER,
            Notification.state == NotificationState.SENT,
        )
    )
    rejected = select(func.count()).select_from(Reject).where(Reject.mailing_id == mailing.id, Reject.cause != "")
    return Progress(
        counts,
        [(text, count) for name, text, count in rows if name == "not_asked"],
        reminders or 0,
        session.scalar(rejected) or 0,
        session.scalar(select(func.min(Recipient.next_at)).where(Recipient.mailing_id == mailing.id)),
    )


@dataclass(frozen=True)
class Listed:
    """A person of a mailing as a list shows them."""

    recipient: Recipient
    outcome: str
    notification: Notification | None
    answered_at: datetime | None

    @property
    def reason(self) -> str:
        """Why they are not asked, or not reminded, or wait."""
        unsent = self.notification.reason if self.notification else ""
        return self.recipient.reason or (unsent if self.outcome != "answered" else "")


def people(session: Session, mailing: Mailing, wanted: str, text: str, page: int) -> Page[Listed]:
    """A page of the people of a mailing.

    Args:
        session: A session that reads.
        mailing: Whose.
        wanted: One of `OUTCOMES`; any by default.
        text: Part of a name or address; empty for all.
        page: Its number.
    """
    what = outcome()
    conditions = [Recipient.mailing_id == mailing.id]
    if wanted:
        conditions.append(what == wanted)
    if text:
        in_address = Recipient.email.contains(text.lower(), autoescape=True)
        conditions.append(or_(in_address, Recipient.name.icontains(text, autoescape=True)))

    # What became of each of them is looked up for those shown only, unless it decides who is shown.
    chosen = select(Recipient.id).where(*conditions)
    if wanted:
        chosen = chosen.outerjoin(Notification, its_mail(mailing))
    total = session.scalar(select(func.count()).select_from(chosen.subquery()))
    ids = chosen.order_by(Recipient.id).offset(offset(page, PEOPLE_A_PAGE)).limit(PEOPLE_A_PAGE).subquery()
    rows = session.execute(
        select(Recipient, what, Notification, Answer.answered_at)
        .join(ids, ids.c.id == Recipient.id)
        .outerjoin(Notification, its_mail(mailing))
        .outerjoin(Answer, Answer.invitation_id == Recipient.invitation_id)
        .order_by(Recipient.id)
    )
    return Page([Listed(*row) for row in rows], page, PEOPLE_A_PAGE, total or 0)


def recipient(session: Session, mailing: Mailing, recipient_id: int) -> Recipient | None:
    """One person of a mailing, or None."""
    return session.scalar(select(Recipient).where(Recipient.mailing_id == mailing.id, Recipient.id == recipient_id))


def rejects(session: Session, mailing: Mailing) -> Sequence[Reject]:
    """The lines that asked nobody, after the first line of the file."""
    return session.scalars(
        select(Reject).where(Reject.mailing_id == mailing.id).order_by(Reject.cause != "", Reject.line, Reject.id)
    ).all()
