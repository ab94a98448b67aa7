"""Small factories and the cast. Each makes the least that is valid; tests say only what matters to them."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from feedback_loop.accounts.models import ApiKey, Role, Scope, Team, User
from feedback_loop.accounts.service import HASHER, add_api_key, add_team
from feedback_loop.actions.closing.service import Closing, close
from feedback_loop.actions.models import ActionItem, Closure, Outcome, Status
from feedback_loop.actions.queries import run_of
from feedback_loop.actions.runs import service as runs
from feedback_loop.complaints.models import Complaint, Placed, Statement, StatementKind, StatementRole, Vector
from feedback_loop.notifications.models import Notification, NotificationState
from feedback_loop.notifications.service import Owed, owe
from feedback_loop.responses.models import Answer, Customer, Invitation
from feedback_loop.responses.service import invite
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import ScaleName, Survey
from feedback_loop.surveys.service import add_survey

PASSWORD = "correct horse battery"
# Hashed once, cheaply: signing in is tested elsewhere with the real cost.
PASSWORD_HASH = type(HASHER)(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


@dataclass(frozen=True)
class Cast:
    """The same people in every test."""

    delivery: Team
    payments: Team
    ada: User
    lena: User
    omar: User
    olga: User
    vera: User


class Make:
    """Factories on one session. They flush; the test commits."""

    def __init__(self, session: Session, settings: Settings, now: datetime) -> None:
        self.session = session
        self.settings = settings
        self.now = now
        self.count = itertools.count(1)
        self.said: Counter[int] = Counter()
        self.raised: set[tuple[int, int]] = set()  # complaint and customer

    def _add(self, row: Any) -> Any:
        self.session.add(row)
        self.session.flush()
        return row

    def team(self, name: str = "") -> Team:
        return add_team(self.session, name or f"Team {next(self.count)}", self.now)

    def user(self, name: str = "Una", role: Role = Role.OWNER, team: Team | None = None, **values: Any) -> User:
        row = User(
            email=values.pop("email", f"{name.lower()}@fernhill.example"),
            name=name,
            role=role,
            team=team,
            password_hash=PASSWORD_HASH,
            created_at=self.now,
            **values,
        )
        return self._add(row)  # type: ignore[no-any-return]

    def cast(self) -> Cast:
        delivery, payments = self.team("Delivery"), self.team("Payments")
        cast = Cast(
            delivery,
            payments,
            self.user("Ada", Role.ADMIN),
            self.user("Lena", Role.LEAD, delivery),
            self.user("Omar", Role.OWNER, delivery),
            self.user("Olga", Role.OWNER, payments),
            self.user("Vera", Role.VIEWER),
        )
        self.session.commit()
        return cast

    def api_key(self, *scopes: Scope, by: User | None = None, **values: Any) -> tuple[ApiKey, str]:
        """A key with these scopes, or with all; and the secret, as a program sends it."""
        by = by or self.user(f"Keymaker {next(self.count)}", Role.ADMIN)
        return add_api_key(
            self.session, "Help desk", scopes or tuple(Scope), values.get("expires_at"), by, values.get("now", self.now)
        )

    def survey(self, slug: str = "", scale: ScaleName = ScaleName.HELPFUL, **values: Any) -> Survey:
        slug = slug or f"survey-{next(self.count)}"
        defaults: dict[str, Any] = {"name": slug.replace("-", " ").capitalize(), "question": "", "now": self.now}
        later = {
            name: values.pop(name) for name in ("tags", "thanks_low", "reply_days", "translations") if name in values
        }
        survey = add_survey(self.session, slug=slug, scale=scale, **(defaults | values))
        for name, value in later.items():
            setattr(survey, name, value)
        return survey

    def customer(self, name: str = "Maya Lind", email: str = "") -> Customer:
        email = email or f"{name.lower().replace(' ', '.')}.{next(self.count)}@example.com"
        return self._add(Customer(email=email, name=name, created_at=self.now))  # type: ignore[no-any-return]

    def invitation(self, survey: Survey | None = None, customer: Customer | None = None) -> tuple[Invitation, str]:
        return invite(self.session, survey or self.survey(), customer or self.customer(), {}, self.now)

    def answer(
        self,
        comment: str = "The parcel never came.",
        survey: Survey | None = None,
        customer: Customer | None = None,
        score: int | None = 0,
        said_at: datetime | None = None,
        **values: Any,
    ) -> Answer:
        """An answer that has been redacted and analysed."""
        row = Answer(
            survey_id=(survey or self.survey()).id,
            customer_id=customer.id if customer else None,
            score=score,
            comment=comment,
            context=values.pop("context", {}),
            answered_at=said_at or self.now,
            received_at=self.now,
            redacted_at=self.now,
            analysed_at=values.pop("analysed_at", self.now),
            **values,
        )
        return self._add(row)  # type: ignore[no-any-return]

    def complaint(self, name: str = "Parcel never came", **values: Any) -> Complaint:
        return self._add(  # type: ignore[no-any-return]
            Complaint(
                name=name,
                keywords=values.pop("keywords", ["parcel", "came"]),
                created_at=self.now,
                # One without statements is one that has been emptied; tests that mean that say so.
                statement_count=values.pop("statement_count", 1),
                **values,
            )
        )

    def statement(
        self,
        complaint: Complaint | None = None,
        text: str = "",
        answer: Answer | None = None,
        customer: Customer | None = None,
        said_at: datetime | None = None,
        survey: Survey | None = None,
        **values: Any,
    ) -> Statement:
        """A main statement, in a complaint or (None) in the pool, with an answer behind it."""
        text = text or f"The parcel never came, order {next(self.count)}."
        answer = answer or self.answer(text, survey=survey, customer=customer, said_at=said_at)
        vector = self._add(
            Vector(text_hash=f"{next(self.count):064d}", model="toy", data=np.zeros(64, dtype="<f2").tobytes())
        )
        position = values.pop("position", 0)
        row = self._add(
            Statement(
                answer_id=answer.id,
                customer_id=answer.customer_id,
                survey_id=answer.survey_id,
                position=position,
                role=StatementRole.PART if position else StatementRole.MAIN,
                kind=values.pop("kind", StatementKind.PROBLEM),
                text=text,
                said_at=answer.answered_at,
                vector_id=vector.id,
                complaint_id=complaint.id if complaint else None,
                placed=Placed.NEAREST if complaint else None,
                confidence=values.pop("confidence", 0.8 if complaint else None),
                reason=values.pop(
                    "reason", "close to 3 statements of this complaint" if complaint else "nothing close enough"
                ),
                **values,
            )
        )
        if complaint:
            self.said[complaint.id] += 1
            complaint.statement_count = self.said[complaint.id]
            if answer.customer_id and (complaint.id, answer.customer_id) not in self.raised:
                self.raised.add((complaint.id, answer.customer_id))
                complaint.people_count += 1
            complaint.anonymous_count += 0 if answer.customer_id else 1
            complaint.first_said_at = min(complaint.first_said_at or row.said_at, row.said_at)
            complaint.last_said_at = max(complaint.last_said_at or row.said_at, row.said_at)
            self.session.flush()
        return row  # type: ignore[no-any-return]

    def item(self, complaint: Complaint | None = None, team: Team | None = None, **values: Any) -> ActionItem:
        row = ActionItem(
            complaint_id=(complaint or self.complaint()).id,
            team_id=(team or self.team()).id,
            status=values.pop("status", Status.NEW),
            created_at=self.now,
            routing_reason="To the default team.",
            **values,
        )
        return self._add(row)  # type: ignore[no-any-return]

    def raised_item(self, people: int = 3, team: Team | None = None, name: str = "Parcel never came") -> ActionItem:
        """An item whose complaint several known customers raised, on three days."""
        complaint = self.complaint(name)
        survey = self.survey()
        for index in range(people):
            customer = self.customer(f"Customer {index}")
            self.statement(
                complaint, customer=customer, survey=survey, said_at=self.now - timedelta(days=index % 3 + 1)
            )
        return self.item(complaint, team)

    def closure(self, item: ActionItem, by: User, outcome: Outcome = Outcome.FIXED, **values: Any) -> Closure:
        """A closing whose run is released, so its notifications are owed; all by the real verbs."""
        texts = {
            "done": "Changed the carrier.",
            "root_cause": "Labels smudged.",
            "statement": "Parcels now carry two labels.",
        }
        closure = close(self.session, item, Closing(outcome, **(texts | values)), by, self.now, self.settings)
        run = run_of(self.session, closure)
        if run is not None:
            runs.release(self.session, run, by, self.now, self.settings)
        return closure

    def notification(self, event: str = "closure:1", customer: Customer | None = None, **values: Any) -> Notification:
        """A pending message; `token_of(notification, settings)` gives the token of its links."""
        customer = customer or self.customer()
        data = {
            "quote": "The parcel never came.",
            "said_at": self.now.isoformat(),
            "statement": "Parcels now carry two labels.",
            "outcome": "fixed",
            "links": {"yes_url": "/f/{token}?answer=yes", "no_url": "/f/{token}?answer=no"},
        }
        owed = Owed(f"customer:{customer.id}", customer.email, customer.name, data)
        owe(self.session, "closure", event, [owed], next_at=self.now, now=self.now, settings=self.settings)
        row = self.session.query(Notification).filter_by(event=event, recipient=owed.recipient).one()
        for name, value in values.items():
            setattr(row, name, value)
        self.session.flush()
        return row

    def sent(self, notification: Notification) -> Notification:
        notification.state = NotificationState.SENT
        notification.sent_at = self.now
        self.session.flush()
        return notification


def sign_in(client: FlaskClient, user: User) -> None:
    """Sign a person in through the page."""
    response = client.post("/sign-in", data={"email": user.email, "password": PASSWORD})
    assert response.status_code == 302, response.get_data(as_text=True)
