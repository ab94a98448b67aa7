"""Forms about surveys, with their wording."""

from __future__ import annotations

from wtforms import EmailField, SelectField, StringField, TextAreaField, ValidationError
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired, Length, Optional, Regexp

from feedback_loop.accounts.forms import ADDRESS
from feedback_loop.languages import LANGUAGES
from feedback_loop.surveys.scales import SCALES
from feedback_loop.surveys.service import SLUG
from feedback_loop.web.forms import StaffForm


class SurveyForm(StaffForm):
    """Make a survey. Texts left empty get the ones that suit the scale."""

    question = StringField(
        "Question",
        [Optional(), Length(max=300, message="Enter at most 300 characters.")],
        description="What the customer reads first. Leave it empty for the usual question of the scale.",
    )
    scale = SelectField(
        "Scale",
        [DataRequired("Choose a scale.")],
        choices=[SelectChoice(scale.name.value, scale.title) for scale in SCALES.values()],
    )
    name = StringField(
        "Name",
        [DataRequired("Enter a name."), Length(max=200, message="Enter at most 200 characters.")],
        description="For your colleagues: which experience it asks about, such as “Order delivered”.",
    )
    slug = StringField(
        "Address",
        [
            DataRequired("Enter an address."),
            Length(max=80, message="Enter at most 80 characters."),
            Regexp(f"^{SLUG.pattern}$", message="Enter small letters, digits and hyphens, such as order-delivered."),
        ],
        description="The last part of the link, such as order-delivered. It cannot be changed later.",
    )
    prompt_low = StringField(
        "Asked after a low score",
        [Optional(), Length(max=300, message="Enter at most 300 characters.")],
        description="Leave it empty for “What went wrong?”",
    )
    prompt_high = StringField(
        "Asked after a high score",
        [Optional(), Length(max=300, message="Enter at most 300 characters.")],
        description="Leave it empty for “What did you like, and what could be better?”",
    )
    thanks = TextAreaField(
        "Said on the thank-you page",
        [Optional(), Length(max=4000, message="Enter at most 4,000 characters.")],
        description="What happens next, and by when. Leave it empty for a text that promises no more than is done.",
    )

    def validate_slug(self, field: StringField) -> None:
        """Keep free the one address below /surveys that is a page of its own."""
        if field.data == "new":
            raise ValidationError("Enter another address: “new” is taken by this page.")


class OriginsForm(StaffForm):
    """Say on whose pages a survey may stand in a frame."""

    origins = TextAreaField(
        "Whose pages may show it",
        description="One address a line, without what follows the first slash: https://www.example.com. "
        "Empty means nobody’s.",
    )

    @property
    def lines(self) -> list[str]:
        """What was entered, without empty lines."""
        return [line for line in (self.origins.data or "").splitlines() if line.strip()]


class InvitationForm(StaffForm):
    """Make an invitation link."""

    email = EmailField(
        "Customer’s email",
        [
            DataRequired("Enter the customer’s email address."),
            Regexp(ADDRESS, message="Enter an email address such as maya@example.com."),
            Length(max=254, message="Enter at most 254 characters."),
        ],
        description="So that they hear what was done about what they say.",
    )
    name = StringField(
        "Customer’s name",
        [Optional(), Length(max=200, message="Enter at most 200 characters.")],
        description="May stay empty.",
    )
    language = SelectField(
        "Language",
        default="",
        choices=[
            SelectChoice("", "As the customer reads"),
            *(SelectChoice(code, name) for code, name in LANGUAGES.items()),
        ],
        description="Of the words around your question. Left alone, it is the customer’s, or that of their browser.",
    )
