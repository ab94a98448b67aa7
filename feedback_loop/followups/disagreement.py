"""Those who disagree with a closing that changes nothing, and the second look that enough of them call for."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from feedback_loop.actions.models import ActionItem, Closure, Status
from feedback_loop.actions.notices import concerned, tell
from feedback_loop.actions.service import latest_closure, note
from feedback_loop.followups.models import FollowUp
from feedback_loop.followups.queries import SECOND_LOOK, noes_of, tally, was_put_back
from feedback_loop.followups.telling import QUOTED, in_their_words, shortened, tell_urgently
from feedback_loop.followups.verdict import needs_second_look, noes_needed


def weigh(
    session: Session, closure: Closure, item: ActionItem, follow_up: FollowUp, *, is_new: bool, now: datetime
) -> None:
    """Tell the owner of somebody who disagrees; once enough do, put the item back to a lead, once for each closing.

    It does not reopen: that it stays as it is was decided for a reason, and a person decides whether the reason holds.

    Args:
        item: Locked.
        is_new: Whether this person disagrees and did not before.
    """
    latest = latest_closure(session, item)
    stands = closure.withdrawn_at is None and latest is not None and latest.id == closure.id
    if not is_new or not stands or item.status not in (Status.CLOSED, Status.VERIFIED):
        return
    count = tally(session, closure)
    said = f"{count.no} of {count.asked} who were told disagree with the decision"
    tell(
        session,
        concerned(session, item),
        item,
        "disagreement",
        f"{item.complaint.number} “{item.complaint.name}”: {said}. The newest: “{shortened(follow_up.comment)}”",
        now,
    )
    if not needs_second_look(count) or was_put_back(session, closure):
        return
    reason = f"A second look is asked for: {said} ({noes_needed(count.asked)} are enough)."
    text = f"{reason}\n{in_their_words(noes_of(session, closure, QUOTED))}"
    note(session, item, SECOND_LOOK, text, None, now, closure_id=closure.id)
    tell_urgently(session, item, SECOND_LOOK, f"{item.complaint.number} “{item.complaint.name}”: {reason}", now)
