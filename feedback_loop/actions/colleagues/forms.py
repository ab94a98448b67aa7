"""The form about the mails a colleague gets, with its wording."""

from __future__ import annotations

from wtforms import RadioField
from wtforms.fields import SelectChoice

from feedback_loop.accounts.models import Digest
from feedback_loop.web.forms import StaffForm

DIGESTS = {
    Digest.DAILY: "Daily: on working days, when there is something to say",
    Digest.WEEKLY: "Weekly: on the first working day of the week",
    Digest.OFF: "Off: only what cannot wait, such as an overdue item of yours. No mail says when you are mentioned",
}


class DigestForm(StaffForm):
    """Choose which mails come."""

    digest = RadioField("Digest", choices=[SelectChoice(digest.value, words) for digest, words in DIGESTS.items()])
