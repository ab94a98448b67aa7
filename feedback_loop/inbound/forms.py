"""Forms about addresses that get no mail, with their wording."""

from __future__ import annotations

from wtforms import RadioField, StringField
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired, Email, Length

from feedback_loop.notifications.models import Cause, Scope
from feedback_loop.web.forms import StaffForm

SCOPES = {
    Scope.FEEDBACK: "Mails about feedback, which customers get",
    Scope.EVERYTHING: "Every mail, also those to colleagues about their work",
}
CAUSES = {
    Cause.ASKED: "They asked for it",
    Cause.COMPLAINED: "Marked as spam",
    Cause.BOUNCED: "Mails come back",
    Cause.BY_HAND: "By a colleague",
}


class NoMailForm(StaffForm):
    """Write no more to an address."""

    address = StringField(
        "Mail address",
        [
            DataRequired("Enter the address."),
            Email("Enter a whole address, such as maya@example.com."),
            Length(max=254),
        ],
    )
    scope = RadioField(
        "What does it get no more?",
        [DataRequired("Choose what it gets no more.")],
        choices=[SelectChoice(scope.value, text) for scope, text in SCOPES.items()],
        default=Scope.FEEDBACK.value,
    )
    reason = StringField(
        "Why?",
        [DataRequired("Enter why, for whoever asks later."), Length(max=200, message="Enter at most 200 characters.")],
        description="Such as “Asked by phone on 3 May”.",
    )


class LiftForm(StaffForm):
    """Write to an address again."""

    why = StringField(
        "Why may we write again?",
        [DataRequired("Enter why, for whoever asks later."), Length(max=200, message="Enter at most 200 characters.")],
    )
