"""How a mail is written: templates, styles laid into its elements, and the form in which it travels."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from email.header import Header
from email.policy import SMTP
from email.utils import format_datetime, formataddr, parseaddr
from functools import cache, lru_cache, partial
from typing import Any

from css_inline import CSSInliner
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape

from feedback_loop import languages
from feedback_loop.mail.message import Message, Refused
from feedback_loop.settings import resource

# Mail programs read styles from the elements themselves; what asks for dark colours stays in the head, for those that
# read it there.
INLINER = CSSInliner(keep_at_rules=True, load_remote_stylesheets=False, minify_css=True)
PLAIN = re.compile(r"[ -~]{0,60}")  # needs neither folding nor encoding
ATOM = r"[\w!#$%&'*+/=?^`{|}~-]+"
PLAIN_ADDRESS = re.compile(rf"{ATOM}(\.{ATOM})*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", re.ASCII)
MOSTLY = 6  # from one letter in so many that is not ASCII, base64 is shorter and no less readable


@cache
def environment(language: str) -> Environment:
    """Where mail templates come from, and the language in which they speak."""
    made = Environment(
        loader=FileSystemLoader(resource("templates") / "email"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.policies["ext.i18n.trimmed"] = True
    catalogue = languages.translations(language)
    made.install_gettext_translations(catalogue, newstyle=True)  # type: ignore[attr-defined]
    # For words that stand in no template: `_()` would read them as HTML, and a % in them as a place to fill.
    made.filters["translated"] = lambda text: catalogue.gettext(str(text)) if text else ""
    made.filters["day"] = partial(languages.as_day, language=language)
    made.globals.update(language=language, direction=languages.direction(language))
    return made


@cache
def templates(kind: str, language: str) -> tuple[Template, Template, Template]:
    """The templates of a mail: subject, text, HTML."""
    spoken = environment(language)
    subject, text, html = (spoken.get_template(f"{kind}/{name}") for name in ("subject.txt", "body.txt", "body.html"))
    return subject, text, html


def render(kind: str, context: Mapping[str, Any], language: str = "") -> tuple[str, str, str]:
    """Write a mail.

    Args:
        kind: Folder under `templates/email`.
        context: What its templates need.
        language: The recipient's; English when it is empty or none of ours.

    Returns:
        Subject on one line, plain text, HTML with its styles in its elements.
    """
    subject, text, html = (each.render(context) for each in templates(kind, languages.choose(language)))
    return " ".join(subject.split()), text.strip() + "\n", INLINER.inline(html)


def as_bytes(message: Message, sender: str, now: datetime) -> bytes:
    """Put a message in the form in which it travels: seven bits, no line longer than 78 characters where it can be
    folded, ends of lines as on the wire.

    The standard library's own way to the same takes three times as long, most of what a mail costs.

    Args:
        message: What to send.
        sender: `Name <address>`.
        now: Becomes the Date header.

    Raises:
        Refused: No mail can be written to this address, or with these words.
    """
    try:
        return put_together(message, sender, now)
    except (ValueError, LookupError, AttributeError) as error:
        # Halves of letters, or a header that the standard library meets with an error of some kind.
        raise Refused(f"No mail can be written with these words ({type(error).__name__}).") from error


def put_together(message: Message, sender: str, now: datetime) -> bytes:
    """What `as_bytes` gives, with errors as they come."""
    key = message.message_id[1:].partition("@")[0] or "part"
    boundary = f"=_{key}"  # stands in no part: both encodings know what comes after = and this is not it
    lines = [
        header("From", formataddr(parseaddr(sender))),
        to_header(message),
        header("Subject", message.subject),
        f"Date: {format_datetime(now)}\r\n",
    ]
    if message.message_id:
        lines.append(header("Message-ID", message.message_id))
    if message.reply_to:
        lines.append(header("Reply-To", message.reply_to))
    if message.thread:
        lines += [header("In-Reply-To", message.thread), header("References", message.thread)]
    lines.append("Auto-Submitted: auto-generated\r\n")  # RFC 3834: nobody's out-of-office notice should answer
    lines += [header(name, value) for name, value in message.headers.items()]
    lines.append(f'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n')
    for kind, text in (("plain", message.text), ("html", message.html)):
        encoding, body = encoded(text)
        lines.append(
            f'--{boundary}\r\nContent-Type: text/{kind}; charset="utf-8"\r\n'
            f"Content-Transfer-Encoding: {encoding}\r\n\r\n{body}\r\n"
        )
    lines.append(f"--{boundary}--\r\n")
    return "".join(lines).encode("ascii")


def to_header(message: Message) -> str:
    """The To header.

    Raises:
        Refused: No mail can be written to this address.
    """
    name = " ".join(message.name.split())
    try:
        value = formataddr((name, message.address))
        if not PLAIN_ADDRESS.fullmatch(message.address):
            return folded("To", value)
    except (ValueError, AttributeError, LookupError) as error:
        # The standard library's parser meets odd and non-ASCII addresses with errors of many kinds.
        raise Refused(f"No mail can be written to this address ({type(error).__name__}).") from error
    if name.isascii() and name.isprintable():
        return header("To", value)
    return f"To: {in_words('To', name)}\r\n <{message.address}>\r\n"


def header(name: str, value: str) -> str:
    """A header as it travels, folded and encoded where it has to be."""
    if PLAIN.fullmatch(value):
        return f"{name}: {value}\r\n"
    if not value.isascii():
        return f"{name}: {in_words(name, value)}\r\n"
    return folded(name, value)


def in_words(name: str, value: str) -> str:
    """What is not ASCII as encoded words (RFC 2047), by the older and quicker half of the standard library."""
    return Header(value, "utf-8", header_name=name).encode(linesep="\r\n")


@lru_cache(maxsize=512)
def folded(name: str, value: str) -> str:
    """A header as the standard library folds it, which takes it a good part of a millisecond."""
    if "://" in value and value.isprintable() and " " not in value:
        return f"{name}: {value}\r\n"  # one word, which must arrive as it is
    return str(SMTP.fold(name, SMTP.header_store_parse(name, value)[1]))


def encoded(text: str) -> tuple[str, str]:
    """A text in seven bits and short lines, and the name of the encoding: one that people can read at the source for
    most languages, the shorter one for scripts of their own."""
    data = text.encode()
    if (len(data) - len(text)) * MOSTLY > len(text):
        return "base64", base64.encodebytes(data).decode("ascii").replace("\n", "\r\n")
    quoted = binascii.b2a_qp(data.replace(b"\r\n", b"\n"), istext=True)
    return "quoted-printable", quoted.decode("ascii").replace("\n", "\r\n")
