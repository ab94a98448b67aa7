"""The form of a routing rule, with its wording."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wtforms import HiddenField, IntegerField, SelectField, StringField, TextAreaField
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired, Length, Optional

from feedback_loop.accounts.models import Team, User
from feedback_loop.actions.models import Priority, ServiceLevel
from feedback_loop.actions.routing.deciding import language_name
from feedback_loop.actions.routing.service import Wanted
from feedback_loop.languages import LANGUAGES
from feedback_loop.surveys.models import Survey
from feedback_loop.web.forms import StaffForm


class Score(IntegerField):  # type: ignore[misc]
    """A mean score, of 100."""

    def process_formdata(self, valuelist: list[str]) -> None:
        """Read what was typed (a hook of WTForms)."""
        try:
            super().process_formdata(valuelist)
        except ValueError:
            raise ValueError("Enter a whole number from 0 to 99, or leave it empty.") from None


class RuleForm(StaffForm):
    """What a rule asks for and what it gives. Whether that can be, the verb says (`service.check`): it knows more than
    what can be chosen here."""

    keyword = StringField(
        "It says",
        [Optional(), Length(max=100, message="Enter at most 100 characters.")],
        description="A word or phrase. A word of its name or keywords begins with it, or of a third of its statements.",
    )
    examples = TextAreaField(
        "It is like",
        [Optional(), Length(max=10_000, message="Enter at most 10 lines.")],
        description="By meaning, whatever the words. One a line, three to ten: what a customer would say, or the "
        "number of a complaint such as C-12. One line alone finds little.",
    )
    survey = SelectField("Most came from the survey", default="", validate_choice=False)
    page = StringField(
        "Most came from pages that begin with",
        [Optional(), Length(max=200, message="Enter at most 200 characters.")],
        description="Such as /checkout, which has /checkout/pay, too.",
    )
    tag = StringField(
        "Most are tagged",
        [Optional(), Length(max=80, message="Enter at most 80 characters.")],
        description="One tag, as surveys and programs write it.",
    )
    language = SelectField("Most are in", default="", validate_choice=False)
    worst_score = Score(
        "Mean score at most",
        [Optional()],
        description="From 0 (the worst) to 99; on a scale from 1 to 5 a 2 is 25.",
    )
    team = SelectField("Team", [DataRequired("Choose a team.")])
    owner = SelectField(
        "Owner", default="", validate_choice=False, description="Somebody of the team, who hears of it at once."
    )
    priority = SelectField("Priority", default="")
    service_level = SelectField("Service level", default="", validate_choice=False)
    seen = HiddenField()  # the fingerprint of the rule from which the form was made

    def __init__(
        self,
        *args: Any,
        teams: Sequence[Team],
        owners: Sequence[User],
        surveys: Sequence[Survey],
        levels: Sequence[ServiceLevel],
        languages: Sequence[str],
        wanted: Wanted | None = None,
        **kwargs: Any,
    ) -> None:
        if wanted is not None:
            kwargs = typed_of(wanted) | kwargs
        super().__init__(*args, **kwargs)
        self.team.choices = [SelectChoice(str(team.id), team.name) for team in teams]
        self.owner.choices = [
            SelectChoice("", "Nobody yet"),
            *(
                SelectChoice(str(each.id), f"{each.name} ({each.team.name if each.team else 'no team'})")
                for each in owners
            ),
        ]
        # What a rule has stays to be seen, though it is not to be chosen any more: the verb says what is wrong with it.
        self.survey.choices = [
            SelectChoice("", "Any"),
            *(SelectChoice(str(each.id), each.name + (" (archived)" if each.archived_at else "")) for each in surveys),
        ]
        self.language.choices = [
            SelectChoice("", "Any"),
            *sorted(
                (SelectChoice(code, language_name(code)) for code in {*LANGUAGES, *languages}),
                key=lambda choice: str(choice.label),
            ),
        ]
        self.priority.choices = [
            SelectChoice("", "As people, severity and trend say"),
            *(SelectChoice(each.value, each.value.capitalize()) for each in Priority),
        ]
        self.service_level.choices = [
            SelectChoice("", "The usual one"),
            *(SelectChoice(str(each.id), each.name + (" (archived)" if each.archived_at else "")) for each in levels),
        ]

    @property
    def wanted(self) -> Wanted:
        """What was typed; only once it is valid."""
        return Wanted(
            int(self.team.data),
            self.keyword.data or "",
            tuple((self.examples.data or "").splitlines()),
            number(self.survey.data),
            self.page.data or "",
            self.tag.data or "",
            self.language.data or "",
            self.worst_score.data,
            number(self.owner.data),
            Priority(self.priority.data) if self.priority.data else None,
            number(self.service_level.data),
        )

    def put(self, faults: dict[str, str]) -> None:
        """Show what is wrong beside the fields; what concerns the rule as a whole stands above them."""
        for name, message in faults.items():
            if name:
                self[name].errors = [message]


def typed_of(wanted: Wanted) -> dict[str, Any]:
    """What one would type for a rule."""
    return {
        "keyword": wanted.keyword,
        "examples": "\n".join(wanted.examples),
        "survey": str(wanted.survey_id or ""),
        "page": wanted.page,
        "tag": wanted.tag,
        "language": wanted.language,
        "worst_score": wanted.worst_score,
        "team": str(wanted.team_id),
        "owner": str(wanted.owner_id or ""),
        "priority": wanted.priority.value if wanted.priority else "",
        "service_level": str(wanted.service_level_id or ""),
    }


def number(text: str | None) -> int | None:
    """The id that was chosen, None for none; 0, which nothing has, for what is no id."""
    if not text:
        return None
    return int(text) if text.isdecimal() and len(text) < 10 else 0
