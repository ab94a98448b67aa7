"""The forms on which customers write, and the wording of what was not right."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext, lazy_gettext
from wtforms import EmailField, SelectMultipleField, StringField, TextAreaField, ValidationError
from wtforms.validators import DataRequired, Email, Length, Optional

from feedback_loop.surveys.models import Survey
from feedback_loop.surveys.scales import SCALES, Choice
from feedback_loop.surveys.wording import tags_in
from feedback_loop.web.forms import PublicForm, StaffForm
from feedback_loop.web.language import as_number, language

BAD_ADDRESS = lazy_gettext("Enter a mail address like name@example.com, or leave this empty.")


class CustomerForm(PublicForm):
    """A form with a comment box, and a field that people do not see but programs fill in.

    Attributes:
        website: The field for programs. A browser may fill it in as well, so nothing is thrown away: it is emptied and
            the person sends once more, which programs do not.
        was_trapped: Whether that field was filled in.
    """

    was_trapped = False
    comment = TextAreaField()
    website = StringField()

    def __init__(self, formdata: Any = None, *, purpose: str, comment_limit: int, **kwargs: Any) -> None:
        self.comment_limit = comment_limit
        super().__init__(formdata, purpose=purpose, **kwargs)

    @property
    def words(self) -> str:
        """The comment as typed; empty without one."""
        return self.comment.data or ""

    def validate_comment(self, _field: Any) -> None:
        """Refuse what is too long, by name of the limit: cutting it silently would lose the end of what they say."""
        if len(self.words) > self.comment_limit:
            raise ValidationError(
                gettext(
                    "Your comment has %(length)s characters; at most %(limit)s can be sent. Please shorten it.",
                    length=as_number(len(self.words)),
                    limit=as_number(self.comment_limit),
                )
            )

    def validate_website(self, field: Any) -> None:
        """Refuse a form that a program, or an eager browser, has filled in."""
        if field.data:
            field.data = ""
            self.was_trapped = True
            raise ValidationError(
                gettext(
                    "A field that stays hidden was filled in, perhaps by your browser. "
                    "Nothing is lost: please press Send once more."
                )
            )


class AnswerForm(CustomerForm):
    """The answer to a survey: a score, a comment, or both; with tags, where the survey has some.

    Attributes:
        challenge: What its browser has to solve, as JSON; empty where it need not.
        doubt: Why it does not count yet although everything in it is right; empty where it does.
    """

    challenge = ""
    doubt = ""

    score = StringField()
    tag = SelectMultipleField(validate_choice=False)
    email = EmailField(validators=[Optional(), Length(max=254, message=BAD_ADDRESS), Email(message=BAD_ADDRESS)])

    def __init__(self, formdata: Any = None, *, survey: Survey, **kwargs: Any) -> None:
        self.survey = survey
        self.scale = SCALES[survey.scale]
        super().__init__(formdata, version=survey.version, **kwargs)

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The scores in reading order."""
        return self.scale.shown

    @property
    def tags(self) -> list[tuple[str, str]]:
        """The tags that can be ticked: each as it is stored, and as the reader reads it."""
        return tags_in(self.survey, language())

    @property
    def ticked(self) -> tuple[str, ...]:
        """The tags that were ticked. One that the survey has no more is dropped: it was taken off meanwhile."""
        return tuple(tag for tag in self.survey.tags if tag in (self.tag.data or ()))

    @property
    def chosen(self) -> int | None:
        """The score that was chosen.

        Raises:
            ValueError: It is not on the scale.
        """
        return self.scale.parse(self.score.data or "")

    def validate_score(self, _field: Any) -> None:
        """Refuse what is not on the scale, and an answer that says nothing."""
        try:
            score = self.chosen
        except ValueError:
            raise ValidationError(gettext("Choose one of the answers.")) from None
        if self.scale.choices and score is None and not self.words:
            raise ValidationError(gettext("Choose an answer, or write a few words."))

    def validate_comment(self, field: Any) -> None:
        """Where there is no score to choose, the words are the answer."""
        super().validate_comment(field)
        if not self.scale.choices and not self.words:
            raise ValidationError(gettext("Enter a few words."))


class OriginalForm(StaffForm):
    """Ask for the original of an answer. The pages of this domain are public ones, so the form's token is its guard."""

    why = TextAreaField(
        "Why do you need to read it?",
        [
            DataRequired("Enter why you need to read the original."),
            Length(max=1000, message="Enter at most 1,000 characters."),
        ],
        description="For example: the customer asks us to call back the number that is blanked out.",
    )
