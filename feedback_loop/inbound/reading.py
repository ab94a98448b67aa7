"""What a mail that came in is: pure, and never raises, whatever it is made of."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum

from feedback_loop.inbound.mime import Part, attachments, parse, words_of
from feedback_loop.inbound.reports import Report, complaint, delivery_report, is_spam, text_report


class Kind(StrEnum):
    """What a mail is."""

    BOUNCE = "bounce"  # came back for good
    DELAY = "delay"  # came back, and may arrive another time
    NEWS = "news"  # of a server: it has it, or still tries
    COMPLAINT = "complaint"  # somebody called ours spam
    AUTO_REPLY = "auto_reply"
    REPLY = "reply"
    STOP = "stop"  # a reply that as a whole asks for no more mail
    UNCLEAR = "unclear"


# Where a mail says to whom it came; the envelope's own address stands in one of them.
TO = (
    "delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-forwarded-to", "x-original-recipient",
    "original-recipient", "to", "cc", "resent-to",
)  # fmt: skip
ADDRESS = re.compile(r"[^\s<>,;:\"()\[\]@]{1,64}@[^\s<>,;:\"()\[\]@]{1,255}")
MESSAGE_ID = re.compile(r"<[^<>\s@]{1,200}@[^<>\s@]{1,200}>")
LONGEST_SUBJECT = 200
LONGEST_ADDRESS = 254
MOST_IDS = 30
# Beginnings of the subjects of notices of absence, for those that say so nowhere else.
ABSENCES = (
    "out of office", "out of the office", "automatic reply", "auto reply", "autoreply", "auto-reply", "auto:",
    "automatische antwort", "abwesenheit", "abwesend", "réponse automatique", "absence du bureau", "absent du bureau",
    "message d'absence", "respuesta automática", "respuesta automatica", "fuera de la oficina", "resposta automática",
    "ausência", "fora do escritório", "risposta automatica", "fuori sede", "fuori ufficio", "automatisch antwoord",
    "afwezig", "automatyczna odpowiedź", "autoodpowiedź", "nieobecność", "رد تلقائي", "خارج المكتب", "自動応答",
    "自動返信", "不在通知", "不在のお知らせ",
)  # fmt: skip
MACHINES = re.compile(r"(?:mailer[-_]?daemon|postmaster|mail[-_]daemon|microsoftexchange[0-9a-f]+)@", re.IGNORECASE)


@dataclass(frozen=True)
class Reading:
    """What can be said of a mail without knowing ours.

    Attributes:
        kind: What it is.
        why: In words: what says so, or why it is unclear.
        addresses: To whom it came.
        message_ids: Of the mails it is about, the nearest first.
        report: What a mail server says.
        is_guess: Whether that was read out of words, so that only an address of ours makes it true.
        words: What a person wrote, with quotes; empty unless it is a reply.
        attachments: How many files came along.
        sender: The address in From.
        subject: On one line.
        message_id: Its own.
        key: By which it is known again.
    """

    kind: Kind
    why: str
    addresses: tuple[str, ...] = ()
    message_ids: tuple[str, ...] = ()
    report: Report | None = None
    is_guess: bool = False
    words: str = ""
    attachments: int = 0
    sender: str = ""
    subject: str = ""
    message_id: str = ""
    key: str = ""


def read(raw: bytes, recipient: str = "") -> Reading:
    """Read a mail.

    Args:
        raw: As it travelled.
        recipient: To whom the envelope sent it, where the mail server tells.
    """
    mail = parse(raw)
    own_id = next(iter(MESSAGE_ID.findall(mail.get("message-id"))), "")
    if not mail.headers:
        return Reading(Kind.UNCLEAR, "It has no headers, so it is no mail.", key=key(raw, mail, own_id))
    decided = decide(mail)
    return Reading(
        decided.kind,
        decided.why,
        addresses(mail, recipient),
        message_ids(mail),
        decided.report,
        decided.is_guess,
        words_of(mail) if decided.kind == Kind.REPLY else "",
        attachments(mail) if decided.kind == Kind.REPLY else 0,
        next(iter(ADDRESS.findall(mail.read("from"))), "").lower()[:LONGEST_ADDRESS],
        mail.read("subject")[:LONGEST_SUBJECT],
        own_id,
        key(raw, mail, own_id),
    )


def decide(mail: Part) -> Reading:
    """What a mail is, and what says so."""
    called = complaint(mail)
    if called is not None:
        if is_spam(called):
            return Reading(Kind.COMPLAINT, f"A report of a mailbox provider: {called[:60]}.")
        return Reading(Kind.NEWS, f"A report of a mailbox provider that is no complaint: {called[:60]}.")
    report = delivery_report(mail)
    if report is not None:
        return reported(report)
    if is_from_machine(mail):
        return from_machine(mail)
    if why := automatic(mail):
        return Reading(Kind.AUTO_REPLY, why)
    return Reading(Kind.REPLY, "Nothing says that a program wrote it.")


def from_machine(mail: Part) -> Reading:
    """What a mail is that no person can be answered to, and that holds no report: a server's own words, or a notice of
    absence."""
    words = words_of(mail)
    guess = None if is_absence(mail) else text_report(mail, words)
    if guess is not None:
        found = reported(guess)
        return Reading(found.kind, found.why, report=guess, is_guess=True)
    if MACHINES.search(mail.get("from")) or mail.get("x-failed-recipients"):
        return Reading(Kind.UNCLEAR, "A mail server wrote it, without saying what became of the mail.")
    return Reading(Kind.AUTO_REPLY, automatic(mail) or "Nobody could be answered to it.")


def reported(report: Report) -> Reading:
    """What a server's report means."""
    if not report.came_back:
        return Reading(Kind.NEWS, "A mail server says that it has the mail, or still tries.", report=report)
    words = f"{report.status} {report.words}".strip()
    return Reading(Kind.BOUNCE if report.for_good else Kind.DELAY, words, report=report)


def automatic(mail: Part) -> str:
    """What says that a program wrote a mail; empty where nothing does."""
    submitted = mail.get("auto-submitted").partition(";")[0].strip().lower()
    checks = (
        (bool(submitted) and submitted != "no", "Auto-Submitted says that a program wrote it."),
        (mail.get("x-auto-response-suppress").strip().lower() not in ("", "none"), "It wants no automatic answer."),
        (mail.get("precedence").strip().lower() in ("bulk", "junk", "list", "auto_reply"), "It is sent in bulk."),
        (any(mail.get(name) for name in ("x-autoreply", "x-autorespond", "x-auto-reply")), "It is an auto-reply."),
        (bool(mail.get("list-id")), "It comes from a mailing list."),
        (mail.kind == "multipart/report", "It is a report that concerns no delivery."),
        (is_absence(mail), "Its subject is that of a notice of absence."),
    )
    return next((why for is_so, why in checks if is_so), "")


def is_from_machine(mail: Part) -> bool:
    """Whether nobody would get an answer to it: the sender on its envelope is empty, or a mail server's own."""
    returns = [each.strip() for each in mail.all("return-path")]
    return "<>" in returns or bool(MACHINES.search(mail.get("from"))) or bool(mail.get("x-failed-recipients"))


def is_absence(mail: Part) -> bool:
    """Whether the subject begins as programs begin it that say that somebody is away."""
    return mail.read("subject").casefold().startswith(ABSENCES)


def addresses(mail: Part, recipient: str) -> tuple[str, ...]:
    """To whom a mail came, without repeats: first what the envelope says."""
    texts = [recipient, *(value for name in TO for value in mail.all(name)[:20])]
    found = [each.lower() for text in texts for each in ADDRESS.findall(text[:5000])]
    return tuple(dict.fromkeys(found))[:MOST_IDS]


def message_ids(mail: Part) -> tuple[str, ...]:
    """Of the mails a mail is about: what it answers, or what it brings back."""
    texts = [*mail.all("in-reply-to")[:5], *(" ".join(reversed(each.split())) for each in mail.all("references")[:5])]
    for each in mail.walk():
        if each is mail:
            continue
        texts += each.all("message-id")[:1]
        if each.kind in ("text/rfc822-headers", "message/rfc822-headers"):
            texts += [value for name, value in parse(each.content()).headers if name == "message-id"][:1]
    found = [each for text in texts for each in MESSAGE_ID.findall(text)]
    return tuple(dict.fromkeys(found))[:MOST_IDS]


def key(raw: bytes, mail: Part, own_id: str) -> str:
    """By what a mail is known again, also when it comes a second way: its Message-ID and date, else all of it."""
    text = f"{own_id}\n{mail.get('date')}".encode() if own_id else raw
    return hashlib.sha256(text).hexdigest()
