"""Forms about corrections, with their wording."""

from __future__ import annotations

import re
from typing import Any

from wtforms import RadioField, StringField, TextAreaField
from wtforms.fields import SelectChoice
from wtforms.validators import Length, Optional

from feedback_loop.complaints.corrections import LONGEST_NAME, Wanted
from feedback_loop.complaints.models import Complaint, CorrectionKind
from feedback_loop.web.forms import StaffForm

NUMBER = re.compile(r"\s*(?:c\s*-?\s*)?(\d{1,9})\b", re.IGNORECASE)
WHY = Length(max=2000, message="Enter at most 2,000 characters.")
TAKE_OUT = "take_out"
OF_STATEMENTS = (
    SelectChoice(CorrectionKind.MOVE.value, "Move to another complaint"),
    SelectChoice(CorrectionKind.SPLIT.value, "Split off as a complaint of its own"),
    SelectChoice(CorrectionKind.PIN.value, "Pin: they stay where they are, whatever refines find"),
    SelectChoice(TAKE_OUT, "Take out: they belong to no complaint"),
)
OF_THE_POOL = (
    SelectChoice(CorrectionKind.MOVE.value, "Move into a complaint"),
    SelectChoice(CorrectionKind.SPLIT.value, "Make a complaint of them"),
    SelectChoice(TAKE_OUT, "Keep out: they belong to no complaint, whatever refines find"),
)


def number_in(text: str) -> int | None:
    """The number at the beginning of `C-42 Parcel late`, `c42` or `42`; None without one."""
    found = NUMBER.match(text)
    return int(found.group(1)) if found else None


class ComplaintForm(StaffForm):
    """Correct a whole complaint: each button of its page sends what it needs."""

    kind = StringField()
    name = StringField("New name", [Optional()])
    other = StringField("Other complaint", [Optional()])

    def wanted(self, complaint: Complaint) -> Wanted | None:
        """What is asked for; None where the kind is unknown."""
        kinds = {kind.value: kind for kind in CorrectionKind}
        kind = kinds.get(self.kind.data or "")
        if kind not in (CorrectionKind.RENAME, CorrectionKind.MERGE, CorrectionKind.APART, CorrectionKind.DISMISS):
            return None
        other = number_in(self.other.data or "") if kind in (CorrectionKind.MERGE, CorrectionKind.APART) else None
        return Wanted(kind, complaint.id, other, (self.name.data or "") if kind == CorrectionKind.RENAME else "")


class StatementsForm(StaffForm):
    """Correct statements picked by hand."""

    kind = RadioField(
        "What is to happen?", choices=list(OF_STATEMENTS), default=CorrectionKind.MOVE.value, validate_choice=False
    )
    other = StringField(
        "Which complaint?", [Optional()], description="Its number, such as C-12, or choose from the list."
    )
    name = StringField(
        "Name of the new complaint",
        [Optional(), Length(max=LONGEST_NAME, message=f"Enter at most {LONGEST_NAME} characters.")],
        description="A short sentence that a colleague understands, such as “Parcel arrives wet”.",
    )

    def offer(self, homes: set[int | None]) -> None:
        """Offer only what is possible with statements of these complaints (None: the pool)."""
        if homes == {None}:
            self.kind.choices = list(OF_THE_POOL)
        elif len(homes) > 1:
            self.kind.choices = [each for each in OF_STATEMENTS if each.value != CorrectionKind.SPLIT.value]

    def wanted(self, homes: set[int | None], statement_ids: tuple[int, ...]) -> Wanted | None:
        """What is asked for.

        Args:
            homes: The complaints they are in (None: the pool).
            statement_ids: The picked ones.

        Returns:
            None where something is missing; the fields then say what.
        """
        if not self.validate_on_submit() or self.is_incomplete(homes):
            return None
        (home,) = homes if len(homes) == 1 else (None,)
        kind = CorrectionKind.MOVE if self.kind.data == TAKE_OUT else CorrectionKind(self.kind.data)
        other = number_in(self.other.data or "") if self.kind.data == CorrectionKind.MOVE.value else None
        name = (self.name.data or "") if kind == CorrectionKind.SPLIT else ""
        return Wanted(kind, home, other, name, statement_ids)

    def is_incomplete(self, homes: set[int | None]) -> bool:
        """Whether something is missing; its field then says what."""
        if self.kind.data not in {each.value for each in OF_STATEMENTS}:
            self.kind.errors = ["Choose what is to happen."]
        elif self.kind.data == CorrectionKind.MOVE.value and number_in(self.other.data or "") is None:
            self.other.errors = [*self.other.errors, "Enter the number of the complaint to move them to."]
        elif self.kind.data == CorrectionKind.SPLIT.value and len(homes) > 1:
            self.kind.errors = ["Only statements of one complaint can be split off from it. Move them instead."]
        elif self.kind.data == CorrectionKind.SPLIT.value and not self.name.data:
            self.name.errors = ["Enter a name for the new complaint."]
        return bool(self.errors)

    def refuse(self, message: str) -> None:
        """Show why the correction is not possible at the field it is about."""
        target: Any = self.kind
        if self.kind.data == CorrectionKind.MOVE.value:
            target = self.other
        elif self.kind.data == CorrectionKind.SPLIT.value and ("a name" in message.lower() or "this name" in message):
            target = self.name
        target.errors = [*target.errors, message]


class ApplyForm(StaffForm):
    """Apply a draft."""

    why = TextAreaField(
        "Why?", [Optional(), WHY], description="For colleagues; it stands in the history. You may leave it empty."
    )


class UndoForm(StaffForm):
    """Undo one correction."""

    why = StringField("Why?", [Optional(), WHY])
