from __future__ import annotations

import pytest

from feedback_loop.actions.mentions import Mentions, Person, find, suggestions

OMAR = Person(1, "Omar Said", "omar@fernhill.example")
LENA = Person(2, "Lena Fischer", "l.fischer@fernhill.example")
OMAR_LIND = Person(3, "Omar Lind", "lind@fernhill.example")
ZOE = Person(4, "Zoë", "zoe@fernhill.example")
TEAM = [OMAR, LENA, ZOE]


@pytest.mark.parametrize(
    ("text", "people"),
    [
        ("@Omar have a look", (1,)),
        ("have a look, @omar.", (1,)),
        ("(@OMAR, @Lena)", (1, 2)),
        ('@"Omar Said" and @“Lena Fischer”', (1, 2)),
        ('@"  omar   said "', (1,)),
        ("@l.fischer: please", (2,)),
        ("@Omar's list", (1,)),
        ('@omar, @Omar and once more @"Omar Said"', (1,)),
        ("@Zoe\u0308 writes it in two letters", (4,)),
        ("@zoe", (4,)),
        ("line\n@Omar\n@Lena", (1, 2)),
    ],
)
def test_people_are_found_by_first_name_whole_name_or_address(text: str, people: tuple[int, ...]) -> None:
    assert find(text, TEAM) == Mentions(people)


@pytest.mark.parametrize(
    "text", ["write to maya@omar.example", "omar@fernhill.example", "5 parcels @ 3 kg", "@", "a@@omar", "x/@omar", ""]
)
def test_what_only_looks_like_a_mention_is_none(text: str) -> None:
    assert find(text, TEAM) == Mentions()


def test_whoever_is_unknown_is_named_once_as_written() -> None:
    found = find('@Nobody, @nobody-else. @Nobody and @"No One"', TEAM)
    assert found == Mentions((), ("Nobody", "nobody-else", "No One"))


def test_a_name_that_fits_several_is_nobodys() -> None:
    assert find("@Omar", [*TEAM, OMAR_LIND]) == Mentions((1,)), "his address begins so, which is surer"
    by_name = [Person(5, "Kim Ek", "ek@x.example"), Person(6, "Kim Oh", "oh@x.example")]
    assert find("@Kim and @oh", by_name) == Mentions((6,), (), ("Kim",))
    twins = [Person(7, "Ann Lee", "ann1@x.example"), Person(8, "Ann Lee", "ann2@x.example")]
    assert find('@"Ann Lee" @ann2', twins) == Mentions((8,), (), ("Ann Lee",))


def test_what_is_suggested_means_just_that_person() -> None:
    people = [
        OMAR, LENA, OMAR_LIND, ZOE, Person(5, "Kim Ek", "k@x.example"), Person(6, "Kim Oh", "k@y.example"),
        Person(7, "Ann Lee", "ann1@x.example"), Person(8, "Ann Lee", "ann2@x.example"),
    ]  # fmt: skip
    shown = suggestions(people)
    assert shown[1] == "@Omar"
    assert shown[5] == '@"Kim Ek"', "two have that first name, and two that address"
    for person in people:
        assert find(f"Hello {shown[person.id]}, look", people).people == (person.id,), shown[person.id]
