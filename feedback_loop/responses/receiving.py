"""What comes from a customer's link: counted where a person is behind it, kept apart where that is not sure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, func, literal, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from feedback_loop.accounts.models import User
from feedback_loop.analysis.redaction import redact
from feedback_loop.db import clean_text
from feedback_loop.responses.anonymity import kept_context, kept_time
from feedback_loop.responses.confirming import (
    SECONDS_TOGETHER,
    TRAPPED,
    TRAPPED_WITHIN,
    Evidence,
    Judgement,
    Seen,
    Standing,
    judge,
)
from feedback_loop.responses.models import (
    Answer,
    AnswerVersion,
    Invitation,
    Sign,
    UnconfirmedAnswer,
    UnconfirmedState,
)
from feedback_loop.responses.raw import RawTextUnreadable, seal, unseal
from feedback_loop.responses.service import Refused, SentTwice, find_customer, record_answer, remember_language
from feedback_loop.responses.tagging import named, with_tags
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import Survey
from feedback_loop.web.paging import Page, offset

A_PAGE = 50
# Made once, as every answer runs them.
_OF_PAGE = UnconfirmedAnswer.__table__.c.page_key == bindparam("key")
KNOWN_OF_PAGE = select(
    select(Answer.__table__.c.id).where(Answer.__table__.c.page_key == bindparam("key")).scalar_subquery(),
    select(literal(1)).where(_OF_PAGE, UnconfirmedAnswer.__table__.c.settled_at.is_(None)).exists(),
)
_SETTLED = (
    update(UnconfirmedAnswer.__table__)  # type: ignore[arg-type]
    .where(UnconfirmedAnswer.settled_at.is_(None))
    .values(state=bindparam("into"), settled_at=bindparam("now"), sealed=None, email="")
)
SETTLE_OF_PAGE = _SETTLED.where(UnconfirmedAnswer.page_key == bindparam("whose"))
SETTLE_OF_INVITATION = _SETTLED.where(UnconfirmedAnswer.invitation_id == bindparam("whose"))
OPEN = (UnconfirmedState.PROVISIONAL, UnconfirmedState.SUSPECT)
DELIBERATE = (Sign.SENT, Sign.PERSON, Sign.IMPORT)  # no movement on a page changes what came by one of these


@dataclass(frozen=True)
class Given:
    """What a customer's browser sent.

    Attributes:
        sign: What happened there.
        score: On the survey's scale, or None.
        comment: As typed; may be empty.
        email: Address left on an open page; may be empty.
        context: Where the customer comes from.
        page_key: Hash of the identifier of the page it was sent from.
        receipt_hash: Of an anonymous survey, hash of the receipt that whoever answers this page is shown.
        page_made_at: When that page was made.
        survey_version: Whose texts that page showed; None where it does not say.
        is_prefetch: Whether the browser said that it fetched ahead of the reader.
        shown_language: In which the page spoke.
        chosen_language: What the reader chose on a page that only they can open; may be empty.
        tags: Those of the survey that were ticked.
        doubt: What speaks for a program whatever it brought; empty if nothing does.
    """

    sign: Sign
    score: int | None
    comment: str
    email: str
    context: dict[str, Any]
    page_key: str
    receipt_hash: str | None
    page_made_at: datetime
    survey_version: int | None = None
    is_prefetch: bool = False
    shown_language: str = ""
    chosen_language: str = ""
    tags: tuple[str, ...] = ()
    doubt: str = ""


def receive(
    session: Session,
    survey: Survey,
    invitation: Invitation | None,
    given: Given,
    now: datetime,
    settings: Settings,
) -> Judgement | None:
    """Take in what a link brought: an answer that counts, or one that is kept apart until it is confirmed.

    Returns:
        What it was worth and why; None where it changes nothing, because an answer that was sent is there already.
    """
    if survey.is_anonymous:
        given = replace(given, email="", context=kept_context(survey, given.context))
    if invitation is not None:
        # Looks at one link queue here, so that each sees what the others brought.
        session.execute(select(Invitation.id).where(Invitation.id == invitation.id).with_for_update())
        standing_answer = session.scalar(select(Answer).where(Answer.invitation_id == invitation.id))
        is_known = True
    else:
        answer_id, is_known = session.connection().execute(KNOWN_OF_PAGE, {"key": given.page_key}).one()
        standing_answer = session.get_one(Answer, answer_id) if answer_id else None
    if standing_answer is not None and given.sign != Sign.SENT:
        same = standing_answer.score == given.score
        if given.sign == Sign.OPENED or same or standing_answer.sign in DELIBERATE:
            return None
    judgement = judge(
        Evidence(
            sign=given.sign,
            score=given.score,
            now=now,
            page_age=now - given.page_made_at,
            earlier=earlier_signs(session, invitation, standing_answer, now),
            trapped_at=invitation.trapped_at if invitation else None,
            is_prefetch=given.is_prefetch,
            takes_gestures=survey.takes_gestures,
            doubt=given.doubt,
        )
    )
    if judgement.standing != Standing.CONFIRMED:
        keep_apart(session, survey, invitation, given, judgement, kept_time(survey, now), settings)
        return judgement
    email = given.email if invitation is None else ""
    customer = invitation.customer if invitation else find_customer(session, email, "", now) if email else None
    if customer is not None:
        remember_language(customer, given.shown_language, given.chosen_language)
    record_answer(
        session,
        survey,
        score=given.score,
        comment=given.comment,
        customer=customer,
        invitation=invitation,
        context=with_tags(given.context, (), given.tags),
        external_id=None,
        answered_at=now,
        now=now,
        settings=settings,
        sign=given.sign,
        page_key=given.page_key if invitation is None else None,
        survey_version=given.survey_version,
        receipt_hash=given.receipt_hash if customer is None else None,
        is_first=standing_answer is None,
    )
    if standing_answer is not None and given.sign == Sign.SENT:
        standing_answer.context = with_tags(standing_answer.context, survey.tags, given.tags)
    if is_known:
        settle(session, UnconfirmedState.OVERTAKEN, kept_time(survey, now), invitation, given.page_key)
    return judgement


def earlier_signs(
    session: Session, invitation: Invitation | None, standing: Answer | None, now: datetime
) -> tuple[Seen, ...]:
    """What came from the same link within the last seconds."""
    if invitation is None:
        return ()
    since = now - SECONDS_TOGETHER
    seen = [
        Seen(row.sign, row.score, row.seen_at)
        for row in session.scalars(
            select(UnconfirmedAnswer).where(
                UnconfirmedAnswer.invitation_id == invitation.id, UnconfirmedAnswer.seen_at >= since
            )
        )
    ]
    if standing is not None:
        seen.append(Seen(standing.sign, standing.score, standing.answered_at))
        seen += [
            Seen(row.sign, row.score, row.answered_at)
            for row in session.scalars(
                select(AnswerVersion).where(AnswerVersion.answer_id == standing.id, AnswerVersion.answered_at >= since)
            )
        ]
    return tuple(seen)


def keep_apart(
    session: Session,
    survey: Survey,
    invitation: Invitation | None,
    given: Given,
    judgement: Judgement,
    now: datetime,
    settings: Settings,
) -> None:
    """Keep what does not count; the same look at the same score once only."""
    comment = clean_text(given.comment).strip()
    values = {
        "state": UnconfirmedState(judgement.standing.value),
        "reason": judgement.reason,
        "score": given.score,
        "context": with_tags(given.context, (), given.tags),
        "sealed": seal(comment, settings.secret_key, now) if comment else None,
        "email": given.email,
        "survey_version": given.survey_version,
        "receipt_hash": given.receipt_hash,
        "seen_at": now,
        "expires_at": now + timedelta(days=max(1, settings.raw_text_days)),
    }
    mine: list[ColumnElement[bool]] = [UnconfirmedAnswer.settled_at.is_(None)]
    if invitation is not None:
        if judgement.standing == Standing.SUSPECT:  # what the same visitor did a second before is no better
            session.execute(
                update(UnconfirmedAnswer)
                .where(
                    UnconfirmedAnswer.invitation_id == invitation.id,
                    UnconfirmedAnswer.state == UnconfirmedState.PROVISIONAL,
                    UnconfirmedAnswer.seen_at >= now - SECONDS_TOGETHER,
                )
                .values(state=UnconfirmedState.SUSPECT, reason=judgement.reason)
            )
        same_score = (
            UnconfirmedAnswer.score.is_(None) if given.score is None else UnconfirmedAnswer.score == given.score
        )
        mine += [
            UnconfirmedAnswer.invitation_id == invitation.id,
            UnconfirmedAnswer.sign == given.sign,
            same_score,
        ]
    else:
        mine = [UnconfirmedAnswer.page_key == given.page_key]
    row = session.scalar(select(UnconfirmedAnswer).where(*mine).limit(1))
    values |= {"sign": given.sign, "settled_at": None, "settled_by_id": None}
    if row is not None:
        for name, value in values.items():
            setattr(row, name, value)
        session.flush()
        return
    page_key = given.page_key if invitation is None else None
    row = UnconfirmedAnswer(survey_id=survey.id, invitation=invitation, page_key=page_key, **values)
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        raise SentTwice("This page was sent twice at once.") from None


def settle(
    session: Session, state: UnconfirmedState, now: datetime, invitation: Invitation | None, page_key: str | None
) -> None:
    """What was kept apart of a link or page is done with: an answer from there counts now."""
    statement = SETTLE_OF_INVITATION if invitation else SETTLE_OF_PAGE
    whose = invitation.id if invitation else page_key
    session.connection().execute(statement, {"into": state, "now": now, "whose": whose})


def trap(session: Session, invitation: Invitation, now: datetime) -> None:
    """Note that the link which people do not see was followed, and doubt what the same visitor did with the others."""
    invitation.trapped_at = now
    session.execute(
        update(UnconfirmedAnswer)
        .where(
            UnconfirmedAnswer.invitation_id == invitation.id,
            UnconfirmedAnswer.state == UnconfirmedState.PROVISIONAL,
            UnconfirmedAnswer.seen_at >= now - TRAPPED_WITHIN,
        )
        .values(state=UnconfirmedState.SUSPECT, reason=TRAPPED)
    )


@dataclass(frozen=True)
class Shown:
    """An answer that does not count, as a page shows it; the comment is redacted."""

    row: UnconfirmedAnswer
    comment: str


def unconfirmed(session: Session, survey: Survey, page: int, settings: Settings) -> Page[Shown]:
    """A page of the answers to a survey that wait for confirmation: suspect ones first, then the newest."""
    where = (UnconfirmedAnswer.survey_id == survey.id, UnconfirmedAnswer.settled_at.is_(None))
    rows = session.scalars(
        select(UnconfirmedAnswer)
        .where(*where)
        .options(joinedload(UnconfirmedAnswer.invitation).joinedload(Invitation.customer))
        .order_by(
            UnconfirmedAnswer.state != UnconfirmedState.SUSPECT,
            UnconfirmedAnswer.seen_at.desc(),
            UnconfirmedAnswer.id.desc(),
        )
        .offset(offset(page, A_PAGE))
        .limit(A_PAGE)
    ).all()
    total = session.scalar(select(func.count()).select_from(UnconfirmedAnswer).where(*where)) or 0
    return Page([Shown(row, readable(row, settings)) for row in rows], page, A_PAGE, total)


def unconfirmed_counts(session: Session, survey: Survey) -> dict[UnconfirmedState, int]:
    """How many answers to a survey wait for confirmation, by state."""
    rows = session.execute(
        select(UnconfirmedAnswer.state, func.count())
        .where(UnconfirmedAnswer.survey_id == survey.id, UnconfirmedAnswer.settled_at.is_(None))
        .group_by(UnconfirmedAnswer.state)
    )
    return dict.fromkeys(OPEN, 0) | dict(rows.all())


def readable(row: UnconfirmedAnswer, settings: Settings) -> str:
    """The comment with personal details blanked out; a sentence about it where it cannot be read."""
    if row.sealed is None:
        return ""
    try:
        return redact(unseal(row.sealed, settings.secret_key), settings.phone_region or None).text
    except RawTextUnreadable as error:
        return str(error)


def confirm(session: Session, row: UnconfirmedAnswer, by: User, now: datetime, settings: Settings) -> None:
    """Let an answer count because a person says that a person gave it.

    Raises:
        Refused: It is settled already, or a later answer to the same invitation counts.
        RawTextUnreadable: Its comment was sealed with another key.
    """
    still_open(session, row)
    invitation = row.invitation
    same = Answer.invitation_id == invitation.id if invitation else Answer.page_key == row.page_key
    newer = Answer.answered_at > row.seen_at
    # What was sent is not replaced by a mere movement on the same page, whichever came a moment earlier.
    stands = newer if row.sign in DELIBERATE else or_(newer, Answer.sign.in_(DELIBERATE))
    if session.scalar(select(Answer.id).where(same, stands)) is not None:
        raise Refused("A later answer from the same link counts already.")
    comment = unseal(row.sealed, settings.secret_key) if row.sealed else ""
    customer = invitation.customer if invitation else find_customer(session, row.email, "", now) if row.email else None
    answer_id = record_answer(
        session,
        row.survey,
        score=row.score,
        comment=comment,
        customer=customer,
        invitation=invitation,
        context=row.context,
        external_id=None,
        answered_at=row.seen_at,
        now=now,
        settings=settings,
        sign=Sign.PERSON,
        page_key=row.page_key,
        survey_version=row.survey_version,
        receipt_hash=row.receipt_hash,
    )
    if row.sign == Sign.SENT:  # it may have changed an earlier one
        answer = session.get_one(Answer, answer_id)
        ticked = [tag for tag in named(row.context) if tag in row.survey.tags]
        answer.context = with_tags(answer.context, row.survey.tags, ticked)
    settle(session, UnconfirmedState.OVERTAKEN, now, invitation, row.page_key)
    row.state, row.settled_at, row.settled_by_id = UnconfirmedState.CONFIRMED, now, by.id
    row.sealed, row.email = None, ""
    session.flush()


def dismiss(session: Session, row: UnconfirmedAnswer, by: User, now: datetime) -> None:
    """Settle that a program gave it. What it typed is destroyed.

    Raises:
        Refused: It is settled already.
    """
    still_open(session, row)
    row.state, row.settled_at, row.settled_by_id = UnconfirmedState.DISMISSED, now, by.id
    row.sealed, row.email = None, ""
    session.flush()


def still_open(session: Session, row: UnconfirmedAnswer) -> None:
    """Lock a row, and refuse one that is settled. The link is locked first, as whoever answers by it does."""
    if row.invitation_id is not None:
        session.execute(select(Invitation.id).where(Invitation.id == row.invitation_id).with_for_update())
    session.refresh(row, with_for_update={"of": UnconfirmedAnswer})
    if row.settled_at is not None:
        raise Refused("This was settled meanwhile; reload the page.")


def forget_unconfirmed(session: Session, now: datetime) -> int:
    """Delete what was never confirmed, and what was settled, once its time is over.

    Returns:
        How many were deleted.
    """
    return session.execute(delete(UnconfirmedAnswer).where(UnconfirmedAnswer.expires_at <= now)).rowcount  # type: ignore[attr-defined, no-any-return]
