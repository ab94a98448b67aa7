"""Forms about webhooks and trackers, with their wording."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wtforms import BooleanField, HiddenField, PasswordField, SelectField, StringField, TextAreaField
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired, Length

from feedback_loop.accounts.forms import CheckboxesField
from feedback_loop.accounts.models import Team
from feedback_loop.integrations.catalogue import EVENTS
from feedback_loop.integrations.models import EndpointKind, Tracker, TrackerKind
from feedback_loop.integrations.trackers.jira import ISSUE_TYPE
from feedback_loop.integrations.trackers.service import LONGEST_BODY, LONGEST_TITLE, NAMES, Wanted
from feedback_loop.outbound import LONGEST_URL
from feedback_loop.web.forms import StaffForm

KINDS = [
    SelectChoice(EndpointKind.WEBHOOK.value, "A program of ours: signed JSON (Standard Webhooks)"),
    SelectChoice(EndpointKind.SLACK.value, "Slack: an incoming webhook"),
    SelectChoice(EndpointKind.TEAMS.value, "Teams: a Workflows webhook"),
]


def at_most(count: int) -> Length:
    """A limit, with its message."""
    return Length(max=count, message=f"Enter at most {count:,} characters.")


class EndpointForm(StaffForm):
    """Add an endpoint."""

    name = StringField(
        "Name", [DataRequired("Enter a name."), at_most(80)], description="What hears of it, such as “Data warehouse”."
    )
    kind = SelectField("What is it?", [DataRequired("Choose what it is.")], choices=KINDS)
    url = StringField(
        "Address",
        [DataRequired("Enter the address."), at_most(LONGEST_URL)],
        description="Begins with https://. Of Slack and Teams it is a secret: nobody sees it here again.",
    )
    events = CheckboxesField(
        "What does it hear of?",
        [DataRequired("Choose at least one event.")],
        choices=[SelectChoice(name, f"{name}: {about}") for name, about in EVENTS.items()],
    )


class EventsForm(StaffForm):
    """Change what an endpoint hears of."""

    name = StringField("Name", [DataRequired("Enter a name."), at_most(80)])
    events = CheckboxesField(
        "What does it hear of?",
        [DataRequired("Choose at least one event.")],
        choices=[SelectChoice(name, f"{name}: {about}") for name, about in EVENTS.items()],
    )


class ReplayForm(StaffForm):
    """Send again what failed."""

    days = SelectField(
        "Send again what failed",
        choices=[
            SelectChoice("1", "of the last day"),
            SelectChoice("7", "of the last 7 days"),
            SelectChoice("30", "of the last 30 days"),
        ],
    )


class TrackerForm(StaffForm):
    """Add or change a tracker."""

    name = StringField(
        "Name",
        [DataRequired("Enter a name."), at_most(80)],
        description="As colleagues choose it, such as “Shop on GitHub”.",
    )
    kind = SelectField(
        "Which tracker?",
        [DataRequired("Choose which tracker.")],
        choices=[SelectChoice(kind.value, name) for kind, name in NAMES.items()],
    )
    base_url = StringField(
        "Address",
        [at_most(300)],
        description="Leave it empty for github.com and gitlab.com. Of Jira such as https://fernhill.atlassian.net.",
    )
    project = StringField(
        "Project",
        [DataRequired("Enter the project."), at_most(200)],
        description="fernhill/shop on GitHub and GitLab; the key of the project, such as SHOP, in Jira.",
    )
    account = StringField(
        "Account", [at_most(254)], description="Only for Jira: the mail address to which the token belongs."
    )
    issue_type = StringField(
        "Type of issue", [at_most(60)], description=f"Only for Jira; {ISSUE_TYPE} where it is empty."
    )
    token = PasswordField("Token", [at_most(1000)], description="It is kept encrypted, and nobody sees it here again.")
    team = SelectField("Team", description="Whose action items it takes issues for.")
    comments_back = BooleanField("Say there when our action item closes or opens again", default=True)

    def __init__(self, *args: Any, teams: Sequence[Team], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.team.choices = [SelectChoice("", "Every team"), *(SelectChoice(str(team.id), team.name) for team in teams)]

    @property
    def wanted(self) -> Wanted:
        """What was typed."""
        return Wanted(
            self.name.data or "",
            TrackerKind(self.kind.data),
            self.base_url.data or "",
            self.project.data or "",
            self.account.data or "",
            self.issue_type.data or "",
            self.token.data or "",
            bool(self.comments_back.data),
        )


class IssueForm(StaffForm):
    """Ask for an issue."""

    tracker = SelectField("Where", [DataRequired("Choose a tracker.")])
    title = StringField("Title", [DataRequired("Enter a title."), at_most(LONGEST_TITLE)])
    body = TextAreaField(
        "Text",
        [DataRequired("Enter what the issue is to say."), at_most(LONGEST_BODY)],
        description="Whoever can see the tracker reads this. Personal details have been redacted; look once more.",
    )
    marker = HiddenField()

    def __init__(self, *args: Any, trackers: Sequence[Tracker], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tracker.choices = [
            SelectChoice(str(each.id), f"{each.name} ({NAMES[each.kind]} {each.project})") for each in trackers
        ]
