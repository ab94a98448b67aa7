"""Forms about closing an item, with their wording."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any

from wtforms import DateField, Field, RadioField, SelectField, StringField, TextAreaField
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired, Length, Optional

from feedback_loop.accounts.models import Team
from feedback_loop.actions.closing.models import StatementTemplate
from feedback_loop.actions.closing.service import OUTCOMES, Closing, faults, tidied
from feedback_loop.actions.forms import LONG, VersionedForm
from feedback_loop.actions.models import Outcome, Segment
from feedback_loop.clock import utc_now
from feedback_loop.web.forms import StaffForm

COMPLAINT = re.compile(r"(?:c-?)?\s*(\d{1,9})", re.IGNORECASE)
# Under which field a fault of a closing is shown.
FIELDS = {"effective_from": "effective_on", "ask_at": "ask_on"}


def begins(day: date | None) -> datetime | None:
    """The first moment of a day."""
    return datetime.combine(day, time(), UTC) if day else None


class CloseForm(VersionedForm):
    """Close an action item: each way of ending asks for what makes sense there."""

    outcome = RadioField(
        "How does it end?",
        [DataRequired("Choose how it ends.")],
        choices=[
            SelectChoice(Outcome.FIXED.value, "Fixed: something was changed, and the problem should be gone"),
            SelectChoice(Outcome.PARTLY_FIXED.value, "Partly fixed: it is better, and you can say what is left"),
            SelectChoice(Outcome.DECLINED.value, "Declined: it stays as it is, for a reason that customers are told"),
            SelectChoice(Outcome.NOT_A_PROBLEM.value, "Not a problem: it is as it should be, and you can explain it"),
            SelectChoice(Outcome.DUPLICATE.value, "Duplicate: another action item is about the same"),
        ],
    )
    duplicate_of = StringField(
        "At which complaint does the work go on?",
        [Optional(), Length(max=20, message="Enter a number such as C-42.")],
        description="Its number, such as C-42. Nobody is told now: they are told when that one is closed.",
    )
    root_cause = TextAreaField(
        "Root cause",
        [LONG],
        description="For colleagues: what made it happen, not who. “Not known” is an honest answer.",
    )
    done = TextAreaField(
        "What was done",
        [LONG],
        description="For colleagues: the change itself and since when it works. A link to it helps.",
    )
    effective_on = DateField(
        "Effective from",
        [Optional()],
        description="The day from which it works, in UTC. Empty: from now on. What happened before is no relapse.",
    )
    ask_on = DateField(
        "Ask whether it helped on",
        [Optional()],
        description="Needed where it takes effect in the future. Empty: some days after it works.",
    )
    segment = SelectField(
        "Effective for",
        choices=[
            SelectChoice(Segment.ALL.value, "Everybody"),
            SelectChoice(Segment.PAGE.value, "One page"),
            SelectChoice(Segment.TAG.value, "One tag"),
            SelectChoice(Segment.RELEASE.value, "One release"),
            SelectChoice(Segment.LANGUAGE.value, "One language"),
        ],
        default=Segment.ALL.value,
        description="Who told of something else is not told: it would not be true for them.",
    )
    segment_value = StringField(
        "Which page, tag, release or language",
        [Optional(), Length(max=200, message="Enter at most 200 characters.")],
        description="As it stands with the answers: /checkout, Delivery, 4.2, de.",
    )
    template = SelectField("Begin with a template", [Optional()])
    statement = TextAreaField(
        "Statement to customers",
        [LONG],
        description="They read exactly this. Plain words, no blame, and no promise without a date you own.",
    )

    def __init__(self, *args: Any, templates: Sequence[StatementTemplate] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.templates = templates
        self.template.choices = [
            SelectChoice("", "None"),
            *(SelectChoice(str(each.id), f"{each.name} ({OUTCOMES[each.outcome]})") for each in templates),
        ]

    def begin_with_template(self) -> None:
        """Put the chosen template into the statement; what was typed stays, below it."""
        chosen = next((each for each in self.templates if str(each.id) == self.template.data), None)
        if chosen is not None:
            self.statement.data = "\n\n".join(text for text in (chosen.text, self.statement.data) if text)
            self.template.data = ""

    def closing(self, statement_if_empty: str = "", duplicate_of_id: int | None = None) -> Closing:
        """What was typed."""
        outcome = self.outcome.data if self.outcome.data in list(Outcome) else Outcome.FIXED
        segment = self.segment.data if self.segment.data in list(Segment) else Segment.ALL
        return Closing(
            Outcome(outcome),
            self.done.data or "",
            self.root_cause.data or "",
            self.statement.data or statement_if_empty,
            begins(self.effective_on.data),
            Segment(segment),
            self.segment_value.data or "",
            duplicate_of_id,
            begins(self.ask_on.data),
        )

    @property
    def complaint_number(self) -> int | None:
        """The number of the complaint at which the work goes on; None where none was typed."""
        found = COMPLAINT.fullmatch(self.duplicate_of.data or "")
        return int(found.group(1)) if found else None

    def validate(self, extra_validators: Any = None) -> bool:
        """Check each field, then what belongs together."""
        is_sound: bool = super().validate(extra_validators)
        now = utc_now()
        closing = tidied(self.closing(duplicate_of_id=self.complaint_number), now)
        for about, fault in faults(closing, now).items():
            field: Field = self[FIELDS.get(about, about)]
            if not field.errors:
                field.errors = [fault]
                is_sound = False
        return is_sound


class TemplateForm(StaffForm):
    """A beginning for statements."""

    name = StringField("Name", [DataRequired("Enter a name."), Length(max=80, message="Enter at most 80 characters.")])
    team = SelectField("Team", description="Who may begin with it.")
    outcome = SelectField(
        "For", choices=[SelectChoice(outcome.value, OUTCOMES[outcome].capitalize()) for outcome in OUTCOMES
                        if outcome != Outcome.DUPLICATE],
    )  # fmt: skip
    text = TextAreaField(
        "Text",
        [DataRequired("Enter the text."), LONG],
        description="Leave gaps where the case has to be told, such as “[what you changed]”.",
    )

    def __init__(self, *args: Any, teams: Sequence[Team], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.team.choices = [
            SelectChoice("", "Every team"),
            *(SelectChoice(str(team.id), team.name) for team in teams),
        ]
