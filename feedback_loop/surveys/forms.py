"""Forms about surveys, with their wording."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wtforms import (
    BooleanField,
    DateTimeLocalField,
    EmailField,
    FileField,
    HiddenField,
    IntegerField,
    SelectField,
    StringField,
    TextAreaField,
    ValidationError,
)
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired, Length, NumberRange, Optional, Regexp

from feedback_loop.accounts.forms import ADDRESS
from feedback_loop.languages import ENGLISH_NAMES, LANGUAGES
from feedback_loop.surveys.scales import SCALES
from feedback_loop.surveys.service import SLUG
from feedback_loop.surveys.theme import MOST_LOGO_BYTES
from feedback_loop.surveys.wording import MOST_TAGS, TEXTS, read_tags
from feedback_loop.web.forms import StaffForm

LOCAL = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]


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

    is_anonymous = BooleanField(
        "Anonymous",
        description="Nothing is kept that leads to a person: no name, no address, no link of their own, only the day. "
        "The page promises so, and it cannot be changed later.",
    )

    def validate_slug(self, field: StringField) -> None:
        """Keep free the one address below /surveys that is a page of its own."""
        if field.data == "new":
            raise ValidationError("Enter another address: “new” is taken by this page.")


def short(label: str, description: str = "") -> TextAreaField:
    """A text of one or two lines."""
    return TextAreaField(
        label, [Optional(), Length(max=300, message="Enter at most 300 characters.")], description=description
    )


def long(label: str, description: str = "") -> TextAreaField:
    """A text of some paragraphs."""
    return TextAreaField(
        label, [Optional(), Length(max=4000, message="Enter at most 4,000 characters.")], description=description
    )


class WordingForm(StaffForm):
    """What customers read, in the survey's own language and in one other beside it.

    Attributes:
        seen: Fingerprint of what the page was opened with.
        beside: In which language the texts beside it are.
        other: Which language to show beside it next.
    """

    seen = HiddenField()
    beside = HiddenField()
    other = SelectField("Beside it", choices=[SelectChoice(code, name) for code, name in ENGLISH_NAMES.items()])
    question = short("Question", "What the customer reads first. Empty for the usual question of the scale.")
    scale = SelectField("Scale", choices=[SelectChoice(scale.name.value, scale.title) for scale in SCALES.values()])
    prompt_low = short("Asked after a low score")
    prompt_high = short("Asked after a high score")
    tags = TextAreaField(
        "Tags",
        description=f"What a customer can tick beside the score. One a line, at most {MOST_TAGS}.",
    )
    thanks = long("Said on the thank-you page")
    thanks_low = long("Said there after a low score", "Empty for the same as otherwise.")
    reply_days = IntegerField(
        "A person reads it within … days",
        [Optional(), NumberRange(1, 365, "Enter a number of days from 1 to 365, or leave it empty.")],
        description="Customers read this as a promise. Empty promises nothing.",
    )
    language = SelectField(
        "Written in",
        choices=[SelectChoice(code, name) for code, name in ENGLISH_NAMES.items()],
        description="The language of your own words.",
    )
    t_question = short("Question")
    t_prompt_low = short("Asked after a low score")
    t_prompt_high = short("Asked after a high score")
    t_thanks = long("Said on the thank-you page")
    t_thanks_low = long("Said there after a low score")

    def validate_tags(self, field: TextAreaField) -> None:
        """Say which tag is too long, or that there are too many."""
        try:
            read_tags(field.data or "")
        except ValueError as error:
            raise ValidationError(str(error)) from None

    def wording(self, before: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
        """What was typed.

        Args:
            before: The wording it changes; what is not on the page stays as it was there.
            tags: Translations of tags that were on the page, by tag.
        """
        beside = self.beside.data if self.beside.data in LANGUAGES else ""
        translations = {code: dict(texts) for code, texts in before["translations"].items()}
        if beside:
            texts: dict[str, Any] = {name: self[f"t_{name}"].data or "" for name in TEXTS}
            texts["tags"] = {**(translations.get(beside, {}).get("tags") or {}), **tags}
            translations[beside] = texts
        return {
            **{name: self[name].data or "" for name in TEXTS},
            "language": self.language.data,
            "translations": translations,
            "tags": read_tags(self.tags.data or ""),
            "scale": self.scale.data or before["scale"],
            "reply_days": self.reply_days.data,
        }


class ThemeForm(StaffForm):
    """How the pages look."""

    accent = StringField(
        "Colour",
        description="Of buttons and links, as # and six digits or letters: #0b5e51. Empty for the usual green. "
        "Dark pages get a lighter shade of it.",
    )
    logo = FileField(
        "Logo",
        description=f"PNG, JPEG, WebP or GIF, at most {MOST_LOGO_BYTES // 1024} KB: a page of customers weighs at most "
        "30 KB in all, and people open it on the road. Shown 40 pixels high; 80 pixels are enough.",
    )
    without_logo = BooleanField("Take the logo away")


class OpeningForm(StaffForm):
    """From when until when, and how many."""

    opens_at = DateTimeLocalField("Opens", [Optional()], format=LOCAL, description="Empty for at once.")
    closes_at = DateTimeLocalField("Ends", [Optional()], format=LOCAL, description="Empty for never.")
    answer_limit = IntegerField(
        "Most answers",
        [Optional(), NumberRange(1, 2_000_000_000, "Enter a whole number from 1 on, or leave it empty.")],
        description="It takes no more than these. An invited customer can still change an answer. Empty for no limit.",
    )


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
