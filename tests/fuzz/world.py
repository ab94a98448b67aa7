"""One thing of each kind that a public address can lead to, and what must hold there whatever is sent."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.routing import Rule

from feedback_loop.accounts.access import PUBLIC
from feedback_loop.accounts.models import ApiKey, Scope, User
from feedback_loop.actions.models import Closure
from feedback_loop.clock import utc_now
from feedback_loop.db import Sessions, clean_text, reading
from feedback_loop.followups.models import FollowUp
from feedback_loop.inbound.service import secret as secret_of_inbound
from feedback_loop.integrations.models import TrackerKind
from feedback_loop.integrations.trackers.service import Wanted, add_tracker, hook_of
from feedback_loop.notifications.models import Notification, Suppression
from feedback_loop.notifications.service import token_of
from feedback_loop.outbound import outbound
from feedback_loop.responses.models import Answer, AnswerVersion, Customer, Invitation, RawComment, UnconfirmedAnswer
from feedback_loop.responses.raw import unseal
from feedback_loop.responses.receipts import token_of as token_of_receipt
from feedback_loop.settings import Settings
from feedback_loop.surveys.models import ScaleName, Survey, SurveyState
from feedback_loop.surveys.scales import SCALES
from feedback_loop.surveys.service import allow_embedding, dress
from feedback_loop.surveys.theme import read_logo
from feedback_loop.tokens import hashed
from tests.factories import Cast, Make

LOGO = b"\x89PNG\r\n\x1a\n" + bytes(64)
METHODS = ("GET", "HEAD", "POST", "OPTIONS", "PUT")

ARGUMENT = re.compile(r"<(?:[^<>:]+:)?(\w+)>")


@dataclass
class World:
    """What the requests may hit.

    Attributes:
        fillers: By the beginning of a rule, values for its arguments that lead somewhere. A new public route with
            arguments needs a line here; `test_each_public_route_has_an_example_that_works` says so.
        queries: Names that addresses are asked with, and values that mean something.
        key: Secret of an API key with every scope.
        hook_secret: What a tracker sends with its webhook.
        inbound_secret: What a mail server shows that hands mails in.
        bystanders: Surveys that no request names; nothing of theirs may change.
    """

    fillers: Mapping[str, Sequence[dict[str, str]]]
    queries: Mapping[str, Sequence[str]]
    key: str
    hook_secret: str
    inbound_secret: str
    bystanders: frozenset[int]


def settle(make: Make, cast: Cast, session: Session, settings: Settings) -> World:
    """Fill an empty database."""
    slugs = []
    for scale in ScaleName:
        survey = make.survey(f"on-{scale.value}", scale)
        allow_embedding(session, survey, ["https://shop.example"])
        slugs.append(survey.slug)
    slugs.append(make.survey("help-centre").slug)  # the one that examples of the API name
    make.survey("closed").state = SurveyState.CLOSED
    untouched = make.survey("untouched", ScaleName.CSAT)
    make.answer("Nobody may change this.", untouched, score=3)
    make.invitation(untouched)
    tokens = [make.invitation(make.survey(f"invited-{scale.value}", scale))[1] for scale in ScaleName]
    answered, token = make.invitation(make.survey("answered", ScaleName.NPS))
    make.answer("Soaked.", answered.survey, answered.customer, 3, invitation_id=answered.id)
    tokens.append(token)
    expired, token = make.invitation(make.survey("ran-out"))
    expired.expires_at = utc_now() - timedelta(days=1)
    tokens.append(token)
    nameless = make.survey("nameless", ScaleName.CSAT, is_anonymous=True)
    slugs.append(nameless.slug)
    receipts = [receipt(make, nameless, settings, f"page {number}") for number in range(4)]
    dressed = make.survey("dressed", ScaleName.SMILEYS, tags=["Price", "Delivery"], reply_days=3)
    dress(session, dressed, "#7a1f5c", read_logo(LOGO))
    slugs.append(dressed.slug)
    erasable = []
    for _ in range(3):
        invited, token = make.invitation(make.survey())
        make.answer("Soaked again.", invited.survey, invited.customer, 0, invitation_id=invited.id)
        erasable.append(token)
    make.closure(make.raised_item(3), cast.omar)
    withdrawn = make.closure(make.raised_item(2, name="Box soaked"), cast.omar)
    told = list(session.scalars(select(Notification).order_by(Notification.id)))
    for notification in told:
        make.sent(notification)
    session.get_one(Closure, withdrawn.id).withdrawn_at = make.now
    mails = [token_of(notification, settings) for notification in told]
    key = make.api_key(by=cast.ada)[1]
    hook, hook_secret = tracker_hook(make, cast, settings)
    session.commit()
    return World(
        fillers={
            "/s/<slug>": [{"slug": slug} for slug in [*slugs, "closed", "ON-CSAT"]],
            "/i/<token>": [{"token": token} for token in tokens],
            "/f/<token>": [{"token": token} for token in mails],
            "/u/<token>": [{"token": token} for token in mails],
            "/s/<slug>/logo/": [{"slug": dressed.slug, "digest": read_logo(LOGO).digest}],
            "/hooks/<token>": [{"token": hook}],
            "/r/<token>": [{"token": token} for token in receipts[:2]],
            # Erasing spends them.
            "/r/<token>/erase": [{"token": token} for token in receipts[2:]],
            "/i/<token>/erase": [{"token": token} for token in erasable],
            "/static/": [{"filename": name} for name in ("public.css", "widget.js", "vendor/simple.css")],
        },
        queries={
            "score": ["yes", "4", "0"],
            "lang": ["ar", "de"],
            "answer": ["yes", "no", "not_since"],
            "c_page": ["/help/returns"],
            "next": ["/actions"],
            "survey": ["help-centre"],
            "since": ["2026-10-01T08:00:00+02:00"],
            "cursor": ["MjAyNi0xMC0xMlQwOTozMDowMCswMDowMCAx"],
            "limit": ["5"],
            "v": ["7a1f5c"],
        },
        key=key,
        hook_secret=hook_secret,
        inbound_secret=secret_of_inbound(settings),
        bystanders=frozenset({untouched.id}),
    )


def tracker_hook(make: Make, cast: Cast, settings: Settings) -> tuple[str, str]:
    """The token and the secret of a tracker's webhook."""
    described = Wanted("Shop", TrackerKind.GITLAB, "", "fernhill/shop", "", "", "secret", True)
    tracker = add_tracker(make.session, described, None, cast.ada, make.now, settings, outbound(settings))
    path, secret = hook_of(tracker, settings)
    return path.removeprefix("/hooks/"), secret


def receipt(make: Make, survey: Survey, settings: Settings, page: str) -> str:
    """The receipt of an answer."""
    token = token_of_receipt(settings.secret_key, page)
    make.answer("It rained in.", survey, score=2, receipt_hash=hashed(token))
    return token


def public_rules(app: Flask) -> list[Rule]:
    """Every address that nobody signs in for."""
    found = []
    for rule in app.url_map.iter_rules():
        access = getattr(app.view_functions[rule.endpoint], "access", None)
        if access == PUBLIC or isinstance(access, Scope) or rule.endpoint == "static":
            found.append(rule)
    return sorted(found, key=lambda rule: rule.rule)


def examples(world: World, rule: Rule) -> Sequence[dict[str, str]]:
    """Values for the arguments of a rule that lead somewhere."""
    if not rule.arguments:
        return [{}]
    fitting = [known for known in world.fillers if rule.rule.startswith(known)]
    return world.fillers[max(fitting, key=len)] if fitting else []


def filled(rule: Rule, values: Mapping[str, str]) -> str:
    """The path of a rule, its arguments written as given."""
    return ARGUMENT.sub(lambda found: values.get(found.group(1), "x"), rule.rule)


@dataclass
class Watch:
    """Looks at the database after requests, and says what does not hold."""

    sessions: Sessions
    settings: Settings
    world: World
    before: dict[str, Any] = field(init=False)
    read_raws: set[tuple[int, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.before = self.look()

    def look(self) -> dict[str, Any]:
        """What no public request may change, and what only some may."""
        with reading(self.sessions) as session:
            versions = select(AnswerVersion.answer_id, func.count()).group_by(AnswerVersion.answer_id)
            answers: dict[int, list[Any]] = defaultdict(list)
            for row in session.execute(select(Answer.survey_id, Answer.id, Answer.revision).order_by(Answer.id)):
                answers[row.survey_id].append(tuple(row))
            return {
                "surveys": [
                    tuple(row) for row in session.execute(select(*Survey.__table__.columns).order_by(Survey.id))
                ],
                "staff": [tuple(row) for row in session.execute(select(User.id, User.password_hash, User.role))],
                "keys": session.scalar(select(func.count()).select_from(ApiKey)),
                "answers": dict(answers),
                "versions": dict(session.execute(versions).all()),
                "messages": dict(session.execute(select(Notification.id, Notification.state)).all()),
                "suppressed": session.scalar(select(func.count()).select_from(Suppression)),
                "follow-ups": session.scalar(select(func.count()).select_from(FollowUp)),
                "invitations": session.scalar(select(func.count()).select_from(Invitation)),
                "customers": session.scalar(select(func.count()).select_from(Customer)),
            }

    def check(self, rule: Rule, values: Mapping[str, str]) -> None:
        """Compare with what was found the last time, after requests to one rule."""
        now, before = self.look(), self.before
        self.before = now
        is_api = rule.rule.startswith("/api/")
        for name in ("surveys", "staff", "keys"):
            assert now[name] == before[name], f"{rule.rule} changed {name}"
        changed = {
            id for id in {*now["answers"], *before["answers"]} if now["answers"].get(id) != before["answers"].get(id)
        }
        assert not changed & self.world.bystanders, f"{rule.rule} changed a survey that nobody named"
        if not is_api:
            assert len(changed) <= 1, f"{rule.rule} changed answers to {len(changed)} surveys at once"
            assert now["invitations"] == before["invitations"], f"{rule.rule} made an invitation"
        if changed and "slug" in values and not is_api:
            slugs = {row[0]: row[1] for row in now["surveys"]}
            assert {slugs[id] for id in changed} == {clean_text(values["slug"]).lower()}, f"{rule.rule}: another survey"
        assert now["messages"].keys() == before["messages"].keys() or rule.rule.startswith("/f/"), (
            f"{rule.rule} made a message"
        )
        if now["suppressed"] != before["suppressed"]:
            assert rule.rule.startswith("/u/"), f"{rule.rule} stopped mail to somebody"
        if now["follow-ups"] != before["follow-ups"]:
            assert rule.rule.startswith("/f/"), f"{rule.rule} answered whether it is fixed"

    def check_texts(self) -> None:
        """Everything that is stored: on the scale, of the length that is allowed, of letters that can be stored."""
        limit = self.settings.comment_limit
        with reading(self.sessions) as session:
            scales = dict(session.execute(select(Survey.id, Survey.scale)).all())
            for row in (*session.scalars(select(Answer)), *session.scalars(select(UnconfirmedAnswer))):
                scores = {choice.score for choice in SCALES[scales[row.survey_id]].choices}
                assert row.score is None or row.score in scores, f"score {row.score} is not on its scale"
                for name, value in row.context.items():
                    assert stored_well(name, 40), f"context name {name!r}"
                    assert stored_well(str(value), 2000), f"context value {value!r}"
            for comment in session.scalars(select(Answer.comment).where(Answer.comment.is_not(None))):
                assert stored_well(comment or "", limit * 3), "a comment"
            for raw in session.scalars(select(RawComment)):
                assert stored_well(unseal(raw.sealed, self.settings.secret_key), limit), "a comment as it was typed"
            for sealed in session.scalars(
                select(UnconfirmedAnswer.sealed).where(UnconfirmedAnswer.sealed.is_not(None))
            ):
                assert stored_well(unseal(sealed or b"", self.settings.secret_key), limit), "a comment that waits"
            twice = session.execute(
                select(Answer.invitation_id)
                .where(Answer.invitation_id.is_not(None))
                .group_by(Answer.invitation_id)
                .having(func.count() > 1)
            ).all()
            assert not twice, "two answers to one invitation"
            for email in session.scalars(select(Customer.email)):
                assert stored_well(email, 254), f"address {email!r}"
                assert email.isprintable(), f"address {email!r}"


def stored_well(text: str, limit: int) -> bool:
    """No NUL, no lone surrogates, not too long."""
    return len(text) <= limit and text == clean_text(text)
