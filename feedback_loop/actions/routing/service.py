"""Verbs on routing rules."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import Team, User
from feedback_loop.actions.models import Priority, ServiceLevel
from feedback_loop.actions.routing import queries
from feedback_loop.actions.routing.deciding import Rule, language_name, number_of, shadowed_by
from feedback_loop.actions.routing.evidence import can_own, rule_of
from feedback_loop.actions.routing.learning import look_up
from feedback_loop.actions.routing.models import RoutingRule
from feedback_loop.analysis.redaction import redact
from feedback_loop.complaints.models import Complaint, Statement
from feedback_loop.complaints.service.searching import without_placeholders
from feedback_loop.db import clean_text
from feedback_loop.languages import LANGUAGES
from feedback_loop.surveys.models import Survey

MOST_EXAMPLES = 10
LONGEST_EXAMPLE = 300
LOOKED_AT = 20_000  # newest statements among which a language is looked for


class Refused(ValueError):
    """A rule that cannot be, by name of the field in which something is wrong; "" for the rule as a whole."""

    def __init__(self, faults: dict[str, str]) -> None:
        super().__init__(" ".join(faults.values()))
        self.faults = faults


class Overtaken(ValueError):
    """Somebody else changed a rule after the form was made from which it was to be changed."""


@dataclass(frozen=True)
class Wanted:
    """What a rule is to ask for, and what it gives."""

    team_id: int
    keyword: str = ""
    examples: tuple[str, ...] = ()
    survey_id: int | None = None
    page: str = ""
    tag: str = ""
    language: str = ""
    worst_score: int | None = None
    owner_id: int | None = None
    priority: Priority | None = None
    service_level_id: int | None = None

    @property
    def asks(self) -> bool:
        """Whether it asks for anything."""
        return bool(self.keyword or self.examples or self.page or self.tag or self.language) or (
            self.survey_id is not None or self.worst_score is not None
        )


def wanted_of(row: RoutingRule) -> Wanted:
    """What a rule asks for and gives."""
    return Wanted(
        row.team_id,
        row.keyword,
        tuple(row.examples),
        row.survey_id,
        row.page,
        row.tag,
        row.language,
        row.worst_score,
        row.owner_id,
        row.priority,
        row.service_level_id,
    )


def fingerprint(row: RoutingRule) -> str:
    """Names a rule as it stands: what it asks for, what it gives, and whether it is asked."""
    return hashlib.sha256(repr((row.is_active, *astuple(wanted_of(row)))).encode()).hexdigest()[:32]


def tidied(wanted: Wanted, region: str | None = None) -> Wanted:
    """The same as it is kept: each example once and without personal details, a page without what differs by visit.

    Args:
        region: Two-letter country by whose rules national phone numbers are read.
    """
    examples = dict.fromkeys(example for text in wanted.examples if (example := tidied_example(text, region)))
    return Wanted(
        wanted.team_id,
        wanted.keyword.strip(),
        tuple(examples),
        wanted.survey_id,
        tidied_page(wanted.page),
        wanted.tag.strip(),
        wanted.language,
        wanted.worst_score,
        wanted.owner_id,
        wanted.priority,
        wanted.service_level_id,
    )


def tidied_example(text: str, region: str | None) -> str:
    """An example on one line; of a complaint its number."""
    text = " ".join(clean_text(text).split())
    found = re.fullmatch(r"c-?\s?0*([1-9][0-9]{0,17})", text, re.IGNORECASE)
    return f"C-{found[1]}" if found else redact(text[:2000], region).text


def tidied_page(page: str) -> str:
    """The beginning of an address without `?`, `#` and `*`, which no page that answers came from has."""
    return re.split(r"[?#*]", page.strip())[0].strip()


def drafted(session: Session, wanted: Wanted, place: int, row: RoutingRule | None = None) -> Rule:
    """A rule as it would be, for a preview; nothing is written.

    Args:
        wanted: Tidied.
        place: Its number in the list.
        row: The rule it would replace.
    """
    made = RoutingRule(team=session.get_one(Team, wanted.team_id))
    fill(session, made, wanted)
    if row is not None and made.example_vectors is None and row.examples == made.examples:
        made.example_vectors, made.example_model = row.example_vectors, row.example_model
    return rule_of(made, place)


def check(session: Session, wanted: Wanted, typed_page: str = "") -> dict[str, str]:
    """What is wrong with a rule, by name of the field, and what to do instead; empty if it can be.

    Args:
        wanted: Tidied.
        typed_page: The page as it was typed.
    """
    faults: dict[str, str] = {}
    if typed_page.strip() and not wanted.page:
        faults["page"] = "This is the beginning of no address. Enter one such as /checkout, or leave it empty."
    elif not wanted.asks:
        faults["keyword"] = (
            "A rule must ask for something. Enter a word, examples, a page, a tag or a score, or choose a survey or a "
            "language. What no rule claims goes to the default team anyway."
        )
    if fault := faulty_examples(session, wanted.examples):
        faults["examples"] = fault
    survey = session.get(Survey, wanted.survey_id) if wanted.survey_id is not None else None
    if wanted.survey_id is not None and survey is None:
        faults["survey"] = "This survey does not exist. Choose one of the list."
    elif survey is not None and survey.archived_at is not None:
        faults["survey"] = f"{survey.name} is archived and gets no answers any more. Choose another survey."
    if wanted.language and wanted.language not in LANGUAGES and not is_written(session, wanted.language):
        faults["language"] = (
            f"No answer is in {language_name(wanted.language)}, and no page is offered in it. Choose a language of "
            "the list."
        )
    if wanted.worst_score is not None and not 0 <= wanted.worst_score < 100:
        faults["worst_score"] = (
            "Enter a limit from 0 to 99: no mean score is below 0."
            if wanted.worst_score < 0
            else "Enter a limit from 0 to 99: every score is 100 or less. Leave it empty to ask for no score."
        )
    faults |= faulty_recipient(session, wanted)
    return faults


def faulty_examples(session: Session, examples: Sequence[str]) -> str:
    """What is wrong with examples; empty if nothing."""
    if len(examples) > MOST_EXAMPLES:
        return f"Enter at most {MOST_EXAMPLES} examples, those that differ most. Now there are {len(examples)}."
    if any(len(each) > LONGEST_EXAMPLE for each in examples):
        return f"Enter at most {LONGEST_EXAMPLE} characters in a line: one thing, as one customer would say it."
    if any(not any(letter.isalnum() for letter in without_placeholders(each)) for each in examples):
        return "Enter what customers say, not who they are: personal details are blanked out here as everywhere."
    numbers = {number for each in examples if (number := number_of(each)) is not None}
    with_statements = select(Complaint.id).where(Complaint.id.in_(numbers), Complaint.statement_count > 0)
    merged = select(Complaint.id).where(Complaint.id.in_(numbers), Complaint.merged_into_id.is_not(None))
    missing = sorted(numbers - set(session.scalars(with_statements.union(merged)))) if numbers else []
    if missing:
        return f"Nothing is said in C-{missing[0]}. Enter the number of a complaint that has statements, or a text."
    return ""


def faulty_recipient(session: Session, wanted: Wanted) -> dict[str, str]:
    """What is wrong with the owner and the service level."""
    faults = {}
    owner = session.get(User, wanted.owner_id) if wanted.owner_id is not None else None
    team = session.get_one(Team, wanted.team_id)
    if wanted.owner_id is not None and owner is None:
        faults["owner"] = "Nobody has this account. Choose somebody of the list."
    elif owner is not None and not can_own(owner):
        faults["owner"] = f"{owner.name} cannot own action items. Choose somebody who is active and not only a viewer."
    elif owner is not None and owner.team_id != team.id:
        own = f"of {owner.team.name}" if owner.team else "of no team"
        faults["owner"] = f"{owner.name} is {own}. Choose somebody of {team.name}, or send it to another team."
    level = session.get(ServiceLevel, wanted.service_level_id) if wanted.service_level_id is not None else None
    if wanted.service_level_id is not None and level is None:
        faults["service_level"] = "This service level does not exist. Choose one of the list."
    elif level is not None and level.archived_at is not None:
        faults["service_level"] = f"{level.name} is archived. Choose another service level."
    return faults


def is_written(session: Session, language: str) -> bool:
    """Whether any of the newest statements is in a language."""
    return language in written_languages(session)


def written_languages(session: Session) -> list[str]:
    """The languages of the newest statements, by code."""
    newest = select(Statement.language).order_by(Statement.said_at.desc()).limit(LOOKED_AT).subquery()
    return sorted(code for code in session.scalars(select(newest.c.language).distinct()) if code)


def demand_matchable(session: Session, rule: Rule, row: RoutingRule | None = None) -> None:
    """Refuse a rule that can never match, because one that is asked before it asks for less.

    Raises:
        Refused: Says which.
    """
    earlier = [
        rule_of(each, place)
        for place, each in enumerate(queries.rules(session), 1)
        if place < rule.place and each.is_active and each is not row
    ]
    first = shadowed_by(rule, earlier)
    if first is not None:
        raise Refused(
            {
                "": f"This rule could never match: rule {first.place} is asked before it and takes all that it asks "
                f"for. Ask for something else, or save it as a draft, move it above rule {first.place} and turn it on."
            }
        )


def add_rule(session: Session, wanted: Wanted, is_active: bool = True, typed_page: str = "") -> RoutingRule:
    """Add a rule behind all others.

    Args:
        wanted: Tidied.
        is_active: Whether it is asked; else it is a draft.
        typed_page: The page as it was typed.

    Raises:
        Refused: It asks for nothing, can never match, or gives what cannot be given.
    """
    last = session.scalar(select(func.max(RoutingRule.position)))
    row = RoutingRule(position=0 if last is None else last + 1, is_active=is_active)
    return write(session, row, wanted, typed_page, len(queries.rules(session)) + 1)


def change_rule(
    session: Session, row: RoutingRule, wanted: Wanted, is_active: bool = True, typed_page: str = "", seen: str = ""
) -> None:
    """Change what a rule asks for and gives. Items it has routed stay where they are.

    Args:
        is_active: Whether it is asked from now on; else it rests as a draft.
        seen: The fingerprint of the rule from which the change was made; empty where it is not known.

    Raises:
        Overtaken: It is another rule by now, and not the one that is wanted either.
        Refused: As for `add_rule`.
    """
    is_wanted = (row.is_active, wanted_of(row)) == (is_active, wanted)
    if seen and seen != fingerprint(row) and not is_wanted:
        raise Overtaken
    row.is_active = is_active
    write(session, row, wanted, typed_page, place_of(session, row))


def write(session: Session, row: RoutingRule, wanted: Wanted, typed_page: str, place: int) -> RoutingRule:
    """Check and fill in a rule."""
    if faults := check(session, wanted, typed_page):
        raise Refused(faults)
    if row.is_active:
        demand_matchable(session, drafted(session, wanted, place, row), row)
    fill(session, row, wanted)
    session.add(row)
    session.flush()
    return row


def fill(session: Session, row: RoutingRule, wanted: Wanted) -> None:
    """Write what is wanted into a row; vectors of examples that exist already come with it."""
    if list(wanted.examples) != row.examples:
        read = look_up(session, wanted.examples)
        row.examples = list(wanted.examples)
        row.example_vectors, row.example_model = (read.data, read.model) if read else (None, "")
    row.team = session.get_one(Team, wanted.team_id)
    row.owner = session.get(User, wanted.owner_id) if wanted.owner_id is not None else None
    row.survey = session.get(Survey, wanted.survey_id) if wanted.survey_id is not None else None
    row.service_level = (
        session.get(ServiceLevel, wanted.service_level_id) if wanted.service_level_id is not None else None
    )
    row.keyword, row.page, row.tag, row.language = wanted.keyword, wanted.page, wanted.tag, wanted.language
    row.worst_score, row.priority = wanted.worst_score, wanted.priority


def turn(session: Session, row: RoutingRule, on: bool) -> None:
    """Ask a rule from now on, or let it rest.

    Raises:
        Refused: It can never match where it stands, or gives what cannot be given any more.
    """
    if on:
        if faults := check(session, wanted_of(row)):
            raise Refused(faults)
        demand_matchable(session, rule_of(row, place_of(session, row)), row)
    row.is_active = on


def place_of(session: Session, row: RoutingRule) -> int:
    """The number of a rule in the list."""
    return [each.id for each in queries.rules(session)].index(row.id) + 1


def move_rule(session: Session, rule: RoutingRule, step: int) -> None:
    """Let a rule be asked earlier (-1) or later (1). At the ends nothing changes."""
    order = list(session.scalars(select(RoutingRule).order_by(RoutingRule.position, RoutingRule.id)))
    place = order.index(rule)
    target = place + step
    if 0 <= target < len(order):
        order[place], order[target] = order[target], order[place]
    for position, each in enumerate(order):
        each.position = position


def delete_rule(session: Session, rule: RoutingRule) -> None:
    """Take a rule away. Items it has routed stay where they are."""
    session.delete(rule)
