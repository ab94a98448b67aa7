"""Forms about what stands beside an item, with their wording."""

from __future__ import annotations

from wtforms import HiddenField, SelectField, StringField
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired, Length, Optional

from feedback_loop.actions.details import checklist, links
from feedback_loop.actions.models import LinkKind
from feedback_loop.web.forms import StaffForm


class EntryForm(StaffForm):
    """Add an entry to a checklist, or write one anew."""

    text = StringField(
        "What is to be done",
        [
            DataRequired("Enter what is to be done."),
            Length(max=checklist.LONGEST, message=f"Enter at most {checklist.LONGEST} characters."),
        ],
    )
    was = HiddenField()


class LinkForm(StaffForm):
    """Link something outside."""

    url = StringField("Address", [DataRequired("Enter an address.")], description="It begins with https:// or http://.")
    title = StringField(
        "Title",
        [
            Optional(),
            Length(max=links.LONGEST_TITLE, message=f"Enter a title of at most {links.LONGEST_TITLE} characters."),
        ],
        description="Without one, the address tells.",
    )
    kind = SelectField(
        "It is",
        [DataRequired("Choose what it is.")],
        choices=[
            SelectChoice(LinkKind.ATTACHMENT.value, "a file or a page"),
            SelectChoice(LinkKind.TRACKER.value, "an issue in a tracker"),
        ],
    )
