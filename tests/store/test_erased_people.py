"""Who was erased after a backup is erased again when it is restored."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from feedback_loop.accounts.models import Role, User
from feedback_loop.inbound.models import InboundMail, Way
from feedback_loop.inbound.reading import Kind
from feedback_loop.notifications.models import Notification
from feedback_loop.privacy.models import DataRequest
from feedback_loop.privacy.service import erase_person
from feedback_loop.responses.mailings.models import Mailing, Reject
from feedback_loop.responses.models import Answer, Customer
from feedback_loop.settings import Settings
from feedback_loop.store.backups import back_up
from feedback_loop.store.restoring import restore
from feedback_loop.surveys.models import Survey
from tests.conftest import NOW
from tests.factories import Make
from tests.store.conftest import at_home

LATER = NOW + timedelta(hours=3)
WHY = "Asked by letter."


def fill(make: Make) -> None:
    item = make.raised_item(0)
    for name in ("Ann", "Ben"):
        make.statement(item.complaint, f"{name} got none.", customer=make.customer(name, f"{name.lower()}@example.com"))
    make.closure(item, make.user("Ada", Role.ADMIN))


def kept(settings: Settings) -> tuple[set[str], set[str], list[str]]:
    with at_home(settings) as make:
        answers = {str(row) for row in make.session.scalars(select(Answer.comment))}
        addresses = set(make.session.scalars(select(Customer.email))) | set(
            make.session.scalars(select(Notification.address))
        )
        return answers, addresses, list(make.session.scalars(select(DataRequest.why)))


def test_who_was_erased_since_does_not_come_back(home: Settings) -> None:
    with at_home(home) as make:
        fill(make)
    file = back_up(home, None, NOW)
    with at_home(home) as make:
        erase_person(make.session, "ann@example.com", None, WHY, NOW, home)
    done = restore(home, file, LATER)
    assert done.replayed is not None
    assert (done.replayed.is_same, done.replayed.erased, done.replayed.people) == (True, 1, 1)
    answers, addresses, log = kept(home)
    assert answers == {"Ben got none."}
    assert "ann@example.com" not in addresses
    assert "ben@example.com" in addresses
    assert log == [WHY], "the log is kept for good"


def test_who_is_named_only_by_a_list_or_a_mail_that_was_not_understood_does_not_come_back_either(
    file_home: Settings,
) -> None:
    with at_home(file_home) as make:
        fill(make)
        ada = make.session.scalars(select(User)).first()
        mailing = Mailing(survey_id=make.session.scalars(select(Survey.id)).first(), name="Old", why="You bought.",
                          made_by=ada, made_at=NOW)  # fmt: skip
        make.session.add(mailing)
        make.session.flush()
        cells = ["Cy <Cy@Example.com>"]
        make.session.add(Reject(mailing_id=mailing.id, line=2, cause="no address", reason="None.", cells=cells))
        make.session.add(InboundMail(key="k", way=Way.COMMAND, kind=Kind.UNCLEAR, received_at=NOW,
                                     reason="It belongs to no mail.", sender="dee@example.com"))  # fmt: skip
    file = back_up(file_home, None, NOW)
    with at_home(file_home) as make:
        for address in ("cy@example.com", "dee@example.com"):
            erase_person(make.session, address, None, WHY, NOW, file_home)
    done = restore(file_home, file, LATER)
    assert done.replayed is not None
    assert done.replayed.people == 2
    with at_home(file_home) as make:
        assert make.session.scalars(select(Reject)).all() == []
        assert make.session.scalars(select(InboundMail.sender)).all() == [""]


def test_who_came_back_before_the_backup_stays(home: Settings) -> None:
    with at_home(home) as make:
        fill(make)
        make.session.commit()
        erase_person(make.session, "ann@example.com", None, WHY, NOW, home)
        make.session.commit()
        make.answer("Ann again.", customer=make.customer("Ann", "ann@example.com"))
    file = back_up(home, None, NOW)
    done = restore(home, file, LATER)
    assert done.replayed is not None
    assert done.replayed.people == 0
    answers, _, log = kept(home)
    assert answers == {"Ann again.", "Ben got none."}
    assert log == [WHY]


def test_it_is_so_too_where_the_present_database_is_another(file_home: Settings) -> None:
    with at_home(file_home) as make:
        fill(make)
    file = back_up(file_home, None, NOW)
    with at_home(file_home) as make:
        make.answer("Dan: made after the backup.", make.session.scalars(select(Survey)).first())
    newer = back_up(file_home, None, NOW + timedelta(minutes=1))
    restore(file_home, file, LATER)
    with at_home(file_home) as make:
        erase_person(make.session, "ann@example.com", None, WHY, NOW, file_home)
    done = restore(file_home, newer, LATER + timedelta(hours=1))
    assert done.replayed is not None
    assert (done.replayed.is_same, done.replayed.people) == (False, 1)
    assert kept(file_home)[0] == {"Ben got none.", "Dan: made after the backup."}
