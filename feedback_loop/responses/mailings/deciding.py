"""Who is asked, who is reminded, and how long that takes. Pure: facts in, a decision with its reason out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from feedback_loop.notifications.budget import Budget, Contacts, Rank, refusal
from feedback_loop.notifications.hours import Hours, opening

MINUTE = timedelta(minutes=1)
FARTHEST = timedelta(days=366)


class Cause(StrEnum):
    """Why somebody is not asked, in words that stand behind a count of people."""

    SUPPRESSED = "asked for no more mail"
    ANSWERED = "answered already"
    ASKED = "asked already"
    OFTEN = "had enough mails lately"


@dataclass(frozen=True)
class Facts:
    """What is known of one person of a list.

    Attributes:
        no_mail: They asked for no more mail.
        same_experience: They were invited to this survey about the same experience.
        answered_it: They answered about that experience.
        last_invited_at: When they were last invited to this survey, about anything.
        last_answered_at: When they last answered this survey.
        mails: Sent to them within the days of the contact budget.
        has_experience: The list names an experience.
    """

    no_mail: bool
    same_experience: bool
    answered_it: bool
    last_invited_at: datetime | None
    last_answered_at: datetime | None
    mails: int
    has_experience: bool


@dataclass(frozen=True)
class LeftOut:
    """Why one person is not asked."""

    cause: Cause
    reason: str


def on(moment: datetime) -> str:
    """A day in words."""
    day = moment.astimezone(UTC)
    return f"{day.day} {day:%b %Y}"


def leave_out(facts: Facts, ask_again_days: int, budget: Budget, now: datetime) -> LeftOut | None:
    """Why one person is not to be asked; None if they are."""
    if facts.no_mail:
        return LeftOut(Cause.SUPPRESSED, "This person asked for no more mail.")
    if facts.answered_it:
        return LeftOut(Cause.ANSWERED, "Answered about this experience already.")
    if facts.same_experience:
        return LeftOut(Cause.ASKED, "Asked about this experience already.")
    if not facts.has_experience and (lately := asked_lately(facts, now - timedelta(days=ask_again_days))):
        return lately
    reason = refusal(Rank.INVITATION, Contacts(facts.mails), budget)
    return LeftOut(Cause.OFTEN, reason) if reason else None


def asked_lately(facts: Facts, since: datetime) -> LeftOut | None:
    """Why one person is not to be asked in general again; None if the last time is long enough ago."""
    if facts.last_answered_at and facts.last_answered_at > since:
        return LeftOut(Cause.ANSWERED, f"Answered this survey on {on(facts.last_answered_at)}.")
    if facts.last_invited_at and facts.last_invited_at > since:
        return LeftOut(Cause.ASKED, f"Asked this on {on(facts.last_invited_at)}.")
    return None


class Reminding(StrEnum):
    """What to do about one reminder."""

    NOW = "now"
    LATER = "later"
    NEVER = "never"


@dataclass(frozen=True)
class Since:
    """What happened since one person was asked.

    Attributes:
        answered: They have answered.
        no_mail: They asked for no more mail.
        last_sent_at: When the last mail of the mailing went to them; None if it did not go out.
        is_on_its_way: That mail waits to be sent.
        expires_at: When the invitation ends.
    """

    answered: bool
    no_mail: bool
    last_sent_at: datetime | None
    is_on_its_way: bool
    expires_at: datetime | None


@dataclass(frozen=True)
class Reminder:
    """What to do about one reminder, when to look again, and why there is none."""

    what: Reminding
    at: datetime | None = None
    reason: str = ""


def remind(since: Since, after_days: int, now: datetime) -> Reminder:
    """Whether one person is to be reminded now."""
    if since.answered:
        return Reminder(Reminding.NEVER)
    if since.no_mail:
        return Reminder(Reminding.NEVER, reason="Not reminded: this person asked for no more mail.")
    if since.is_on_its_way:
        return Reminder(Reminding.LATER, now + timedelta(days=1))
    if since.last_sent_at is None:
        return Reminder(Reminding.NEVER, reason="Not reminded: the mail before it did not go out.")
    due = since.last_sent_at + timedelta(days=after_days)
    if since.expires_at is not None and max(due, now) >= since.expires_at:
        return Reminder(Reminding.NEVER, reason="Not reminded: the time to answer is over.")
    return Reminder(Reminding.LATER, due) if due > now else Reminder(Reminding.NOW)


@dataclass(frozen=True)
class Span:
    """When the first and the last mail would go out."""

    first: datetime
    last: datetime


def span(people: Mapping[str, int], rate: int, hours: Mapping[str, Hours], start: datetime) -> Span | None:
    """When the mails would go out if sending began at a moment.

    Args:
        people: How many live in each time zone.
        rate: Most mails a minute.
        hours: When mails may go out in each of these zones.
        start: The moment.

    Returns:
        None for nobody, or where the last would go out more than a year later.
    """
    left = {zone: count for zone, count in people.items() if count}
    moment, first, last = start, None, start
    while left:
        if moment - start > FARTHEST:
            return None
        openings = {zone: opening(moment, hours[zone]) for zone in left}
        open_now = sorted((zone for zone in left if openings[zone][0] <= moment), key=lambda zone: openings[zone][1])
        if not open_now:
            moment = min(opens for opens, _ in openings.values())
            continue
        # Until the next zone opens or closes, every minute is like this one.
        turns = [openings[zone][1] if zone in open_now else openings[zone][0] for zone in left]
        minutes = -(-(min(turns) - moment) // MINUTE)
        waiting = sum(left[zone] for zone in open_now)
        minutes = min(minutes, -(-waiting // rate))
        room = minutes * rate
        for zone in open_now:
            taken = min(room, left[zone])
            room -= taken
            left[zone] -= taken
            if not left[zone]:
                del left[zone]
        first = first or moment
        last = moment + (minutes - 1) * MINUTE
        moment += minutes * MINUTE
    return Span(first, last) if first else None
