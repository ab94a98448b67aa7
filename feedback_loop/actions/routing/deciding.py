"""Which team a new action item goes to, whose it is and how urgent: a pure decision with its reason."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from feedback_loop.actions.models import Priority
from feedback_loop.analysis.likeness import likeness
from feedback_loop.complaints.places import LANGUAGES

LONGEST_REASON = 300
SHOWN = 60  # characters of what a rule names, in a reason


@dataclass(frozen=True)
class Rule:
    """A routing rule. What it names must fit, all of it; what is empty or None it does not ask for.

    Attributes:
        place: Its number in the list, 1 for the rule that is asked first.
        keyword: A word begins with it.
        page: Beginning of an address.
        language: ISO 639.
        worst_score: The mean score is at most this, of 100.
        examples: Texts, or numbers of complaints, that mean what it asks for.
        vectors: (n, d), of the examples; None until a worker has read them.
        model: That made the vectors.
        owner_id: Who gets it; None for nobody yet.
    """

    place: int
    team_id: int
    team: str
    keyword: str = ""
    survey_id: int | None = None
    survey: str = ""
    page: str = ""
    tag: str = ""
    language: str = ""
    worst_score: int | None = None
    examples: tuple[str, ...] = ()
    vectors: NDArray[np.float32] | None = field(default=None, compare=False)
    model: str = ""
    owner_id: int | None = None
    owner: str = ""
    priority: Priority | None = None
    service_level_id: int | None = None
    service_level: str = ""

    @property
    def asks(self) -> bool:
        """Whether it asks for anything; one that does not fits nothing."""
        named = (self.keyword, self.examples, self.page, self.tag, self.language)
        return any(named) or self.survey_id is not None or self.worst_score is not None

    @property
    def is_unread(self) -> bool:
        """Whether its examples have no vectors yet, so that it cannot fit."""
        return bool(self.examples) and self.vectors is None


@dataclass(frozen=True)
class Evidence:
    """What is known of a complaint when it is routed. Shares are of its newest statements, 0 to 1.

    Attributes:
        name: Its name.
        keywords: Its keywords.
        texts: Some of its statements, the most telling first.
        survey_shares: By id of the survey.
        page_shares: By page, without what follows `?` or `#`.
        tag_shares: By tag, in small letters; one statement may have several.
        language_shares: By language, of those whose language can be told.
        score: The mean score, 0 for the worst and 100 for the best of the scale; None without a score.
        centres: The mean of the statements that stand for it, by model; (d,) of unit length.
        newest: How many statements were looked at, if there are more; 0 if all were.
    """

    name: str
    keywords: Sequence[str]
    texts: Sequence[str] = ()
    survey_shares: Mapping[int, float] = field(default_factory=dict)
    page_shares: Mapping[str, float] = field(default_factory=dict)
    tag_shares: Mapping[str, float] = field(default_factory=dict)
    language_shares: Mapping[str, float] = field(default_factory=dict)
    score: float | None = None
    centres: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    newest: int = 0


@dataclass(frozen=True)
class Route:
    """Where an item goes, and why. `rule` is None where none fits."""

    team_id: int
    team: str
    reason: str
    rule: Rule | None = None


def mentions(text: str, keyword: str) -> bool:
    """Whether a word of the text begins with the keyword: “refund” finds “Refunds”, “app” does not find “happened”."""
    text, keyword = text.casefold(), keyword.casefold()
    # Looking for the letters alone is much faster, and mostly says no.
    return keyword in text and re.search(rf"(?<!\w){re.escape(keyword)}", text) is not None


def begins_with(page: str, beginning: str) -> bool:
    """Whether a page lies under an address: `/checkout` has `/checkout/pay`, and `https://shop.example/checkout`, too.

    A beginning with `/` is compared with the path, any other with the whole address.
    """
    page, beginning = page.casefold(), beginning.casefold()
    return page.startswith(beginning) or (beginning.startswith("/") and path_of(page).startswith(beginning))


def path_of(page: str) -> str:
    """The path of an address that names a host; of any other the address itself."""
    if "://" not in page:
        return page
    try:
        return urlsplit(page).path or "/"
    except ValueError:  # such as https://[: no address at all
        return page


def route(
    evidence: Evidence, rules: Sequence[Rule], default_team_id: int, default_team: str, like: float = 1.0
) -> Route:
    """Take the first rule that fits, else the default team.

    Args:
        evidence: What is known of the complaint.
        rules: In the order in which they are asked.
        default_team_id: Of the team that gets what no rule claims.
        default_team: Its name.
        like: Likeness from which a complaint is like examples; it belongs to the model that made the vectors.
    """
    for rule in rules:
        reasons = fits(rule, evidence, like)
        if reasons:
            because = "; ".join(reasons) if len(reasons) > 2 else " and ".join(reasons)
            reason = cut(f"By rule {rule.place} to {rule.team}, because {because}", LONGEST_REASON - 1) + "."
            return Route(rule.team_id, rule.team, reason, rule)
    return Route(default_team_id, default_team, f"To {default_team}, the default team: no rule fits.")


def fits(rule: Rule, evidence: Evidence, like: float) -> list[str]:
    """Why a rule fits, a reason for each thing it asks for; empty if it does not fit, or asks for nothing.

    A keyword fits when a word of the name or the keywords begins with it, or of at least a third of the statements
    shown. Survey, page, tag and language fit when more than half of the statements came from there.
    """
    parts = (
        bool(rule.keyword) and keyword_reason(rule.keyword, evidence),
        bool(rule.examples) and likeness_reason(rule, evidence, like),
        rule.survey_id is not None
        and share_reason(evidence.survey_shares.get(rule.survey_id, 0.0), f"came from {cut(rule.survey)}", evidence),
        bool(rule.page)
        and share_reason(
            sum(share for page, share in evidence.page_shares.items() if begins_with(page, rule.page)),
            f"came from {cut(rule.page)}",
            evidence,
        ),
        bool(rule.tag)
        and share_reason(evidence.tag_shares.get(rule.tag.casefold(), 0.0), f"are tagged “{cut(rule.tag)}”", evidence),
        bool(rule.language)
        and share_reason(
            evidence.language_shares.get(rule.language, 0.0), f"are in {language_name(rule.language)}", evidence
        ),
        rule.worst_score is not None and score_reason(rule.worst_score, evidence.score),
    )
    asked = [part for part in parts if part is not False]
    return [part for part in asked if part] if all(asked) else []


def keyword_reason(keyword: str, evidence: Evidence) -> str:
    """Where a keyword stands; empty if that is too seldom."""
    named = any(mentions(text, keyword) for text in (evidence.name, *evidence.keywords))
    said = sum(mentions(text, keyword) for text in evidence.texts)
    if not named and (not evidence.texts or said * 3 < len(evidence.texts)):
        return ""
    where = "its name" if named else f"{said} of {len(evidence.texts)} statements"
    return f"“{cut(keyword)}” stands in {where}"


def likeness_reason(rule: Rule, evidence: Evidence, like: float) -> str:
    """How like the examples of a rule a complaint is; empty if it is not, or nobody can tell yet."""
    own = evidence.centres.get(rule.model)
    if rule.vectors is None or own is None or rule.vectors.shape[1] != len(own):
        return ""
    found = likeness(own, rule.vectors)
    if found < like:
        return ""
    nearest = rule.examples[int(np.argmax(rule.vectors @ own))]
    quoted = nearest if number_of(nearest) else f"“{cut(nearest)}”"
    return f"it is like {quoted} ({found:.2f}, {like:.2f} is needed)"


def share_reason(share: float, what: str, evidence: Evidence) -> str:
    """That most statements came from somewhere; empty if they did not."""
    if share <= 0.5:
        return ""
    return f"{share:.0%} of the {f'newest {evidence.newest} ' if evidence.newest else ''}statements {what}"


def score_reason(worst: int, score: float | None) -> str:
    """That the mean score is low enough; empty if it is not, or there is none."""
    if score is None or score > worst:
        return ""
    return f"the mean score is {score:.0f} of 100"


def shadowed_by(rule: Rule, earlier: Sequence[Rule]) -> Rule | None:
    """The first of the rules asked before that fits wherever this one fits, so that this one can never match."""
    return next((each for each in earlier if asks_for_no_more(each, rule)), None)


def asks_for_no_more(rule: Rule, other: Rule) -> bool:
    """Whether each thing a rule asks for follows from what another asks for."""
    return (
        rule.asks
        and (not rule.keyword or bool(other.keyword and mentions(other.keyword, rule.keyword)))
        and rule.survey_id in (None, other.survey_id)
        and (not rule.page or bool(other.page and begins_with(other.page, rule.page)))
        and (not rule.tag or rule.tag.casefold() == other.tag.casefold())
        and rule.language in ("", other.language)
        and (rule.worst_score is None or (other.worst_score is not None and other.worst_score <= rule.worst_score))
        # Of more examples the nearest three may be others, so only the same ones will do.
        and (not rule.examples or (not rule.is_unread and sorted(rule.examples) == sorted(other.examples)))
    )


def what_it_asks(rule: Rule) -> str:
    """What a rule asks of a complaint, as the end of a sentence that begins with "A complaint that"."""
    parts = []
    if rule.keyword:
        parts.append(f"says “{cut(rule.keyword)}”")
    if rule.examples:
        first = rule.examples[0] if number_of(rule.examples[0]) else f"“{cut(rule.examples[0])}”"
        more = len(rule.examples) - 1
        parts.append(f"is like {first}" + (f" or {more} more example{'s' if more > 1 else ''}" if more else ""))
    if rule.survey_id is not None:
        parts.append(f"comes from the survey {cut(rule.survey)}")
    if rule.page:
        parts.append(f"comes from pages that begin with {cut(rule.page)}")
    if rule.tag:
        parts.append(f"is tagged “{cut(rule.tag)}”")
    if rule.language:
        parts.append(f"is in {language_name(rule.language)}")
    if rule.worst_score is not None:
        parts.append(f"has a mean score of {rule.worst_score} of 100 or less")
    return ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1] if parts else "is anything"


def number_of(example: str) -> int | None:
    """The number of the complaint that an example names: 12 for `C-12`; None for a text."""
    found = re.fullmatch(r"C-([1-9][0-9]{0,17})", example)
    return int(found[1]) if found else None


def language_name(code: str) -> str:
    """The English name of a language, or its code where we know no name."""
    return LANGUAGES.get(code, code)


def cut(text: str, longest: int = SHOWN) -> str:
    """A text, or its beginning."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"
