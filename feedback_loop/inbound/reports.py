"""What mail servers report of a mail: that it came back, for good or for now, or that somebody called it spam. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from feedback_loop.inbound.mime import Part, fields

STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
REPLY = re.compile(r"(?<![\d.\-/:])([45])[0-5]\d(?=[\s\-]+\D)")
# Permanent by their number, and yet gone tomorrow: a name server without an answer, a mailbox that is full.
SOFT = {"5.4.4", "5.2.2"}
# They say something of the mail or of us, and nothing of the address.
OURS = re.compile(r"5\.(?:7\.\d+|6\.\d+|3\.4|2\.3|1\.7|1\.8)")
GONE = {"failed"}
WELL = {"delivered", "relayed", "expanded"}
LATER = {"delayed"}
SPAM = {"abuse", "fraud", "virus", "other", "opt-out", "opt-out-list"}
LONGEST = 300  # characters of a server's words
FIRST_WORDS = 4000  # characters in which a server without a report says why
COPY = re.compile(r"^-+ *(?:Below this line|This is a copy|Original message|The following is)", re.I | re.M)


@dataclass(frozen=True)
class Report:
    """What became of a mail.

    Attributes:
        came_back: Whether it did.
        for_good: Whether trying again would bring nothing.
        is_address: Whether the address is why, and so no mail to it ever arrives.
        status: Such as `5.1.1`.
        words: What the server said.
    """

    came_back: bool
    for_good: bool = False
    is_address: bool = False
    status: str = ""
    words: str = ""


def judged(status: str, words: str) -> Report:
    """What a status means (RFC 3463)."""
    for_good = status.startswith("5") and status not in SOFT
    is_address = for_good and OURS.fullmatch(status) is None
    return Report(True, for_good, is_address, status, " ".join(words.split())[:LONGEST])


def status_in(text: str) -> str:
    """The status that words of a server give; from an older reply code where there is no better one."""
    found = STATUS.search(text)
    if found:
        return found[0]
    code = REPLY.search(text)
    return f"{code[1]}.0.0" if code else ""


def delivery_report(mail: Part) -> Report | None:
    """What a delivery report (RFC 3464) says; None where a mail has none."""
    found = [each for each in mail.walk() if each.kind in ("message/delivery-status", "message/global-delivery-status")]
    if not found:
        return None
    lots = [lot for each in found for lot in recipients(each)]
    if any(lot.get("action", "").lower() in WELL for lot in lots):
        return Report(False)  # of several, one has it
    reports = [report for lot in lots if (report := of_recipient(lot)) is not None]
    if not reports:
        return Report(False) if any(lot.get("action", "").lower() in LATER for lot in lots) else None
    worst = max(reports, key=lambda each: (each.for_good, each.is_address))
    # Ours went to one address, so several recipients stand behind it: one of them that is gone does not end it.
    return replace(worst, is_address=all(each.is_address for each in reports))


def recipients(part: Part) -> list[dict[str, str]]:
    """What a report says of each recipient."""
    lots = (dict(reversed(fields(lot.strip(b"\n")))) for lot in part.content().split(b"\n\n")[:50])
    return [lot for lot in lots if "action" in lot or "status" in lot]


def of_recipient(lot: dict[str, str]) -> Report | None:
    """What became of the mail to one recipient; None where it is still under way."""
    action = lot.get("action", "").partition(" ")[0].lower()
    words = lot.get("diagnostic-code", "").partition(";")[2] or lot.get("diagnostic-code", "")
    status = status_in(lot.get("status", "")[:20]) or status_in(words)
    if action in LATER or (action and action not in GONE):
        return None
    if status.endswith(".0.0") and STATUS.search(words):  # the server's own words are nearer
        own = status_in(words)
        status = own if own[0] == status[0] else status
    if not status:
        status = "5.0.0" if action in GONE else ""
    return judged(status, words.strip()) if status and not status.startswith("2") else None


def complaint(mail: Part) -> str | None:
    """What a feedback report (RFC 5965) calls the mail, such as `abuse`; None where a mail has none."""
    for each in mail.walk():
        if each.kind == "message/feedback-report":
            said = dict(reversed(fields(each.content().strip(b"\n"))))
            return said.get("feedback-type", "").strip().lower() or "abuse"
    return None


def is_spam(kind: str) -> bool:
    """Whether somebody does not want our mail: other reports are about technology, or say the opposite."""
    return kind in SPAM


def text_report(mail: Part, words: str) -> Report | None:
    """What a mail server says that writes no report, as qmail and Exim do; None where it gives no code."""
    words = words[:FIRST_WORDS]
    copy = COPY.search(words)
    words = words[: copy.start()] if copy else words
    if re.search(r"\bdelay", mail.read("subject"), re.IGNORECASE):
        return Report(False)
    status = status_in(words)
    if not status or status.startswith("2"):
        return None
    line = next((each for each in words.splitlines() if status in each or REPLY.search(each)), "")
    return judged(status, line)
