"""The pages on which customers see what became of what they said."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from feedback_loop import tokens
from feedback_loop.actions.models import ActionItem, Outcome, Status
from feedback_loop.analysis.embedding.toy import ToyEmbedder
from feedback_loop.clock import utc_now
from feedback_loop.complaints.models import Complaint, ComplaintState, Statement, Vector
from feedback_loop.complaints.service.analyse import analyse_pending
from feedback_loop.complaints.service.counts import count_again
from feedback_loop.db import Sessions
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.responses.models import (
    Answer,
    AnswerVersion,
    Customer,
    ErasedAnswer,
    Guard,
    Invitation,
    RawComment,
    UnconfirmedAnswer,
)
from feedback_loop.responses.pressure import set_guard
from feedback_loop.responses.receiving import confirm
from feedback_loop.responses.redacting import redact_pending
from feedback_loop.settings import Settings
from tests.factories import Cast, Make, sign_in
from tests.pages import links, words
from tests.responses.test_answer_screens import send, token_on

INTERNAL = (
    "Complaint Canary",
    "Delivery",
    "Omar",
    "Lena",
    "C-",
    "Labels smudged",
    "Changed the carrier",
    "in_progress",
)


def send_address(client: FlaskClient, receipt: str, email: str) -> TestResponse:
    token = token_on(client.get(f"/r/{receipt}"))
    return client.post(f"/r/{receipt}/address", data={"form_token": token, "email": email})


def erase(client: FlaskClient, path: str) -> TestResponse:
    asked = client.get(path)
    assert "Erase your answer?" in words(asked)
    return client.post(path, data={"form_token": token_on(asked)})


class Raised:
    """A complaint of an invited customer and of the holder of a receipt, with the work on it."""

    def __init__(
        self, make: Make, session: Session, cast: Cast, others: int = 4, *, is_anonymous: bool = False
    ) -> None:
        self.session, self.make = session, make
        self.complaint = make.complaint("Complaint Canary")
        self.survey = make.survey("parcels", is_anonymous=is_anonymous)
        self.customer = make.customer("Maya Lind", "maya@example.com")
        ordinary = make.survey("ordinary")
        self.invitation, self.token = make.invitation(ordinary, self.customer)
        early = make.now - timedelta(days=3)
        self.invited = make.answer(
            "Wet parcel.", ordinary, self.customer, said_at=early, invitation_id=self.invitation.id
        )
        make.statement(self.complaint, "Wet parcel.", self.invited)
        self.receipt = tokens.draw()
        self.answered = make.answer(
            "Soaked parcel.", self.survey, said_at=early, receipt_hash=tokens.hashed(self.receipt), page_key="k" * 64
        )
        make.statement(self.complaint, "Soaked parcel.", self.answered)
        for number in range(others):
            make.statement(self.complaint, f"Damp parcel {number}.", survey=ordinary, customer=make.customer())
        self.item: ActionItem = make.item(self.complaint, cast.delivery, owner_id=cast.omar.id)
        session.commit()

    def set(self, status: Status) -> None:
        self.item.status = status
        self.session.commit()

    def close(self, cast: Cast, outcome: Outcome = Outcome.FIXED) -> None:
        self.make.closure(self.item, cast.omar, outcome, statement="Parcels come in film now.\n\nFrom today.")
        self.session.commit()


@pytest.fixture
def raised(make: Make, session: Session, cast: Cast) -> Raised:
    return Raised(make, session, cast)


def test_shows_the_stages_one_after_the_other(client: FlaskClient, raised: Raised, cast: Cast) -> None:
    for path in (f"/i/{raised.token}/status", f"/r/{raised.receipt}"):
        raised.set(Status.NEW)
        assert "It has arrived and counts." in words(client.get(path))
        raised.set(Status.IN_PROGRESS)
        assert "Somebody has taken it on." in words(client.get(path))
        raised.session.commit()
    raised.close(cast)
    for path in (f"/i/{raised.token}/status", f"/r/{raised.receipt}"):
        page = client.get(path)
        assert "Parcels come in film now." in words(page)
        assert "on Oct 12, 2026:" in words(page).replace("12 October 2026", "Oct 12, 2026")
        assert 'aria-current="step"' in page.text
        for word in INTERNAL:
            assert word not in words(page), f"{word} is not for customers"


def test_a_decision_against_it_says_why(client: FlaskClient, raised: Raised, cast: Cast) -> None:
    raised.close(cast, Outcome.DECLINED)
    said = words(client.get(f"/r/{raised.receipt}"))
    assert "we decided not to change this, for this reason:" in said
    assert "Decided: it stays as it is" in said


def test_leads_to_the_question_whether_it_is_fixed(client: FlaskClient, raised: Raised, cast: Cast) -> None:
    raised.close(cast)
    found = [link for link in links(client.get(f"/i/{raised.token}/status")) if link.startswith("/f/")]
    assert len(found) == 1
    assert "Did this fix it?" in words(client.get(found[0]))
    again = client.get(f"/r/{raised.receipt}")
    assert "This is not fixed for me" in words(again)
    assert not [link for link in links(again) if link.startswith("/f/")], "nobody was asked here"


def test_two_problems_show_both_with_the_words_concerned(
    client: FlaskClient, raised: Raised, make: Make, session: Session
) -> None:
    other = make.complaint("Another Canary")
    make.statement(other, "And the driver was rude.", raised.answered, position=1)
    make.item(other, status=Status.IN_PROGRESS)
    session.commit()
    said = words(client.get(f"/r/{raised.receipt}"))
    assert said.index("Soaked parcel.") < said.index("And the driver was rude.")
    assert "It has arrived and counts." in said
    assert "Somebody has taken it on." in said


def test_what_was_put_away_or_waits_is_still_heard(client: FlaskClient, raised: Raised) -> None:
    raised.set(Status.IN_PROGRESS)
    raised.complaint.state = ComplaintState.DISMISSED
    raised.session.commit()
    assert "It has arrived and counts." in words(client.get(f"/r/{raised.receipt}"))


def test_others_are_a_number_only_from_three_on(client: FlaskClient, make: Make, session: Session, cast: Cast) -> None:
    raised = Raised(make, session, cast, others=1)
    assert "said the same" not in words(client.get(f"/r/{raised.receipt}"))
    make.statement(raised.complaint, "Damp.")
    session.commit()
    assert "3 others said the same." in words(client.get(f"/r/{raised.receipt}"))


def test_links_that_are_none_of_ours(client: FlaskClient, raised: Raised) -> None:
    for path in ("/r/nonsense", "/i/nonsense/status", "/i/nonsense/erase", "/r/nonsense/erase"):
        assert client.get(path).status_code == 404
    assert client.post("/r/nonsense/address").status_code == 404


def test_pages_are_kept_by_nobody_and_set_no_cookie(client: FlaskClient, raised: Raised) -> None:
    page = client.get(f"/r/{raised.receipt}")
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "strict-origin"
    assert "Set-Cookie" not in page.headers


def test_the_receipt_is_shown_once_after_an_anonymous_answer(client: FlaskClient, make: Make, session: Session) -> None:
    make.survey("quiet", is_anonymous=True)
    make.survey("open")
    session.commit()
    page = send(client, "/s/quiet", score="no", comment="Dusty.")
    assert "It is the only way back to your answer." in words(page)
    found = next(link for link in links(page) if link.startswith("/r/"))
    assert "Your words are not shown yet" in words(client.get(found))
    elsewhere = send(client, "/s/open", score="no", comment="Dusty.")
    assert elsewhere.status_code == 303
    assert "/r/" not in client.get(elsewhere.location).text


def test_an_address_makes_the_answer_theirs(
    client: FlaskClient, make: Make, session: Session, sessions: Sessions, cast: Cast
) -> None:
    raised = Raised(make, session, cast, is_anonymous=True)
    count_again(session, [raised.complaint.id])
    session.commit()
    before = raised.complaint.people_count, raised.complaint.anonymous_count
    said = words(client.get(f"/r/{raised.receipt}"))
    assert "Until now your answer is anonymous. From then on it is linked with your address" in said
    assert "Enter a mail address" in words(send_address(client, raised.receipt, "nobody"))
    assert send_address(client, raised.receipt, " Noor@Example.com ").status_code == 303
    assert "An address was left for this answer." in words(client.get(f"/r/{raised.receipt}"))
    analyse_pending(sessions, ToyEmbedder(), utc_now)
    session.expire_all()
    customer = session.scalars(select(Customer).where(Customer.email == "noor@example.com")).one()
    statement = session.scalars(select(Statement).where(Statement.answer_id == raised.answered.id)).first()
    assert statement
    assert statement.customer_id == customer.id
    if statement.complaint_id == raised.complaint.id:
        complaint = session.get_one(Complaint, raised.complaint.id)
        assert (complaint.people_count, complaint.anonymous_count) == (before[0] + 1, before[1] - 1)
    session.commit()


def test_erasing_needs_the_button_of_its_page(client: FlaskClient, raised: Raised) -> None:
    assert client.post(f"/r/{raised.receipt}/erase").status_code == 400
    assert client.get(f"/r/{raised.receipt}").status_code == 200


def test_erasing_takes_everything_along(
    client: FlaskClient, raised: Raised, make: Make, session: Session, cast: Cast
) -> None:
    answer, survey_id = raised.answered, raised.survey.id
    make._add(RawComment(answer_id=answer.id, sealed=b"x", expires_at=make.now))
    make._add(
        AnswerVersion(
            answer_id=answer.id, revision=1, comment="Before.", sign="sent", answered_at=make.now, replaced_at=make.now
        )
    )
    count_again(session, [raised.complaint.id])
    vector = session.scalars(select(Statement.vector_id).where(Statement.answer_id == answer.id)).one()
    counts, item = (raised.complaint.statement_count, raised.complaint.anonymous_count), raised.item.id
    raised.close(cast)
    assert "Your answer is erased" in words(erase(client, f"/r/{raised.receipt}/erase"))
    session.expunge_all()
    assert session.scalars(select(Answer).where(Answer.receipt_hash == tokens.hashed(raised.receipt))).all() == []
    for table in (RawComment, AnswerVersion):
        assert session.scalar(select(func.count()).select_from(table)) == 0
    assert session.get(Vector, vector) is None
    complaint = session.scalars(select(Complaint)).one()
    assert (complaint.statement_count, complaint.anonymous_count) == (counts[0] - 1, counts[1] - 1)
    assert session.scalars(select(ErasedAnswer)).one().survey_id == survey_id
    number = complaint.id
    session.commit()
    gone = client.get(f"/r/{raised.receipt}")
    assert gone.status_code == 410
    assert "This answer was erased" in words(gone)
    sign_in(client, cast.lena)
    assert "1 answer was erased by whoever gave it." in words(client.get("/surveys/parcels"))
    for path in (f"/complaints/{number}", f"/actions/{item}", "/complaints", "/"):
        assert client.get(path).status_code == 200


def test_words_that_others_used_keep_their_vector(
    client: FlaskClient, raised: Raised, make: Make, session: Session
) -> None:
    mine = session.scalars(select(Statement).where(Statement.answer_id == raised.answered.id)).one()
    other = make.statement(raised.complaint, "Soaked parcel.")
    other.vector_id = mine.vector_id
    shared = mine.vector_id
    session.commit()
    erase(client, f"/r/{raised.receipt}/erase")
    assert session.get(Vector, shared) is not None
    session.commit()


def test_an_invited_customer_erases_the_answer_and_hears_no_more_of_it(
    client: FlaskClient, raised: Raised, session: Session, cast: Cast
) -> None:
    raised.close(cast)
    erase(client, f"/i/{raised.token}/erase")
    session.expire_all()
    owed = session.scalars(select(Notification).where(Notification.recipient == f"customer:{raised.customer.id}")).one()
    assert owed.state == NotificationState.SKIPPED
    assert owed.data["quote"] == ""
    assert session.get(Customer, raised.customer.id) is not None
    assert session.get_one(Invitation, raised.invitation.id).expires_at is not None
    session.commit()
    assert client.get(f"/i/{raised.token}").status_code == 410


def test_who_said_the_same_otherwise_still_hears_of_it(
    client: FlaskClient, raised: Raised, make: Make, session: Session, cast: Cast
) -> None:
    make.statement(raised.complaint, "Wet again.", customer=raised.customer, said_at=make.now - timedelta(days=9))
    raised.close(cast)
    erase(client, f"/i/{raised.token}/erase")
    session.expunge_all()
    owed = session.scalars(select(Notification).where(Notification.address == "maya@example.com")).one()
    assert (owed.state, owed.data["quote"]) == (NotificationState.PENDING, "Wet again.")
    session.commit()


def test_an_emptied_complaint_breaks_no_page(client: FlaskClient, make: Make, session: Session, cast: Cast) -> None:
    raised = Raised(make, session, cast, others=0)
    number, item = raised.complaint.id, raised.item.id
    raised.close(cast)
    erase(client, f"/i/{raised.token}/erase")
    erase(client, f"/r/{raised.receipt}/erase")
    sign_in(client, cast.lena)
    for path in (f"/complaints/{number}", f"/actions/{item}", "/complaints", "/", "/surveys/parcels"):
        assert client.get(path).status_code == 200


def test_an_anonymous_answer_that_waits_has_a_receipt_that_follows_it_and_can_erase_it(
    client: FlaskClient, make: Make, session: Session, cast: Cast, settings: Settings
) -> None:
    survey = make.survey("quiet", is_anonymous=True)
    set_guard(session, survey, Guard.ON)
    session.commit()
    pages = [send(client, "/s/quiet", score="no", comment="Dusty shelves.", altcha="") for _ in range(2)]
    found = [next(link for link in links(page) if link.startswith("/r/")) for page in pages]
    assert "one of us looks at your answer" in words(client.get(found[0]))
    rows = session.scalars(select(UnconfirmedAnswer).order_by(UnconfirmedAnswer.id)).all()
    confirm(session, rows[0], cast.lena, utc_now(), settings)
    session.commit()
    assert "Where it stands" in words(client.get(found[0]))
    assert "Your answer is erased" in words(erase(client, f"{found[1]}/erase"))
    assert client.get(found[1]).status_code == 410
    session.expire_all()
    assert session.scalar(select(func.count()).select_from(UnconfirmedAnswer)) == 1
    session.commit()


def test_the_status_quotes_the_question_that_was_asked(client: FlaskClient, make: Make, session: Session) -> None:
    survey = make.survey("order", question="How was the delivery?")
    invitation, token = make.invitation(survey)
    make.answer("Late.", survey, invitation.customer, 0, invitation_id=invitation.id, survey_version=1)
    survey.question, survey.version = "How was the return?", 2
    session.commit()
    assert "How was the delivery?" in words(client.get(f"/i/{token}/status"))


def test_erasing_takes_long_words_out_of_the_mail_that_quotes_their_beginning(
    client: FlaskClient, make: Make, session: Session, cast: Cast
) -> None:
    survey, complaint = make.survey(), make.complaint()
    invitation, token = make.invitation(survey, make.customer("Maya Lind"))
    text = "The parcel never came and nobody answered. " * 12
    answer = make.answer(text, survey, invitation.customer, 0, invitation_id=invitation.id)
    make.statement(complaint, text, answer)
    make.closure(make.item(complaint), cast.omar)
    session.commit()
    owed = session.scalars(select(Notification)).one()
    assert owed.data["quote"].startswith("The parcel never came")
    session.commit()
    erase(client, f"/i/{token}/erase")
    session.expire_all()
    assert (owed.data["quote"], owed.state) == ("", NotificationState.SKIPPED)
    session.commit()


def test_erasing_while_the_worker_is_busy_leaves_nothing(
    client: FlaskClient, make: Make, session: Session, sessions: Sessions, settings: Settings
) -> None:
    make.survey("quiet", is_anonymous=True)
    session.commit()
    page = send(client, "/s/quiet", score="no", comment="Dusty shelves.")
    found = next(link for link in links(page) if link.startswith("/r/"))
    erase(client, f"{found}/erase")
    redact_pending(sessions, settings, utc_now())
    analyse_pending(sessions, ToyEmbedder(), utc_now)
    for table in (Answer, Statement, RawComment, Vector):
        assert session.scalar(select(func.count()).select_from(table)) == 0
    session.commit()
