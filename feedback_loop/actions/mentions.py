"""Who is mentioned in a comment: `@Omar`, `@"Omar Said"`, or `@omar.said` after the mail address. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Not inside a mail address: before the @ stands nothing that one could consist of.
_MENTION = re.compile(r'(?<![\w.+\-/@])@(?:"([^"\n]{1,200})"|“([^”\n]{1,200})”|(\w[\w.+\-]*))')


@dataclass(frozen=True)
class Person:
    """Somebody who can be mentioned."""

    id: int
    name: str
    email: str

    @property
    def local_part(self) -> str:
        """Their mail address before the @."""
        return self.email.partition("@")[0]


@dataclass(frozen=True)
class Mentions:
    """What was found.

    Attributes:
        people: Ids of those meant, in the order in which they are mentioned.
        unknown: What fits nobody, as it was written, without the @.
        several: What fits more than one person.
    """

    people: tuple[int, ...] = ()
    unknown: tuple[str, ...] = ()
    several: tuple[str, ...] = ()


def find(text: str, people: Iterable[Person]) -> Mentions:
    """Find whom a text mentions.

    A whole name counts before a part of an address, and that before a first name.

    Args:
        text: What was written.
        people: Those who can be mentioned.
    """
    known = handles(people)
    found: dict[int, None] = {}
    unknown: dict[str, None] = {}
    several: dict[str, None] = {}
    for match in _MENTION.finditer(text):
        quoted = match.group(1) or match.group(2)
        # A full stop or dash behind a name belongs to the sentence.
        written = quoted.strip() if quoted else match.group(3).rstrip(".+-")
        fitting = next((fits for each in known if (fits := each.get(plain(written)))), set())
        if len(fitting) == 1:
            found.update(dict.fromkeys(fitting))
        else:
            (several if fitting else unknown)[written] = None
    return Mentions(tuple(found), tuple(unknown), tuple(several))


def handles(people: Iterable[Person]) -> Sequence[dict[str, set[int]]]:
    """Who may be meant by what: by whole name, by address, by first name; the surer way first."""
    by_name: dict[str, set[int]] = defaultdict(set)
    by_address: dict[str, set[int]] = defaultdict(set)
    by_first: dict[str, set[int]] = defaultdict(set)
    for person in people:
        by_name[plain(person.name)].add(person.id)
        by_address[plain(person.local_part)].add(person.id)
        by_first[plain(person.name.partition(" ")[0])].add(person.id)
    return by_name, by_address, by_first


def suggestions(people: Sequence[Person]) -> dict[int, str]:
    """How each person is mentioned in the shortest way that means nobody else, with the @, by id."""
    known = handles(people)
    shown = {}
    for person in people:
        first = person.name.partition(" ")[0]
        ways = [first, person.local_part, f'"{person.name}"']
        fitting = (way for way in ways if find("@" + way, [person]).people and sole(way.strip('"'), person, known))
        shown[person.id] = "@" + next(fitting, person.local_part)
    return shown


def sole(written: str, person: Person, known: Sequence[dict[str, set[int]]]) -> bool:
    """Whether this means one person only."""
    return next((fits for each in known if (fits := each.get(plain(written)))), set()) == {person.id}


def plain(name: str) -> str:
    """A name as it is compared: in one case, its letters composed, its white space single."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
