"""A mail taken apart, whatever it is made of. Pure; never raises, and its time grows with the length alone.

The standard library's own parser recurses with the depth of a mail, hands each line through every level, and reads
addresses and parameters in time that grows with their square. Mails come from anybody, so this one has limits
instead: it splits a mail itself, and leaves to the library what has none (base64, quoted-printable, encoded words).
"""

from __future__ import annotations

import binascii
import html
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.header import decode_header

from feedback_loop.db import clean_text

LONGEST = 1024 * 1024  # bytes of a mail that are looked at; words and reports come before what is attached
LONGEST_HEAD = 64 * 1024  # bytes of the headers of one part
LONGEST_PAGE = 200_000  # characters of HTML: what was typed stands before what is quoted
LONGEST_HEADER = 2000  # characters of one header
DEEPEST = 12  # parts within parts
MOST_PARTS = 200
MULTIPART = "multipart/"
# Python calls these encodings as well; they are slow, or no text.
NO_CHARSETS = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"}
# Where mail programs put what they quote.
QUOTES = re.compile(r"gmail_quote|divRplyFwdMsg|appendonsend|yahoo_quoted|moz-cite-prefix|protonmail_quote")
BREAKS = {"br", "p", "div", "li", "tr", "h1", "h2", "h3", "table", "ul", "ol"}
UNSEEN = {"script", "style", "head", "title"}


@dataclass(frozen=True)
class Part:
    """A mail, or a part of one.

    Attributes:
        headers: Name in small letters, and the text behind it, unfolded; in their order.
        body: What follows, still encoded; of a part with parts in it the whole.
        parts: What stands in it.
    """

    headers: tuple[tuple[str, str], ...]
    body: bytes
    parts: tuple[Part, ...] = ()

    def all(self, name: str) -> list[str]:
        """Every header of this name as it stands."""
        return [value for each, value in self.headers if each == name]

    def get(self, name: str) -> str:
        """The first header of this name as it stands, or an empty text."""
        return next(iter(self.all(name)), "")

    def read(self, name: str) -> str:
        """The first header of this name as people read it, on one line."""
        return " ".join(worded(self.get(name)).split())

    @property
    def kind(self) -> str:
        """Such as `text/plain`, in small letters."""
        kind = self.get("content-type").partition(";")[0].strip().lower()
        return kind if "/" in kind else "text/plain"

    @property
    def is_attached(self) -> bool:
        """Whether it is a file that came along, and not what was written."""
        disposition = self.get("content-disposition").strip().lower()
        return disposition.startswith("attachment") or not self.kind.startswith(("text/", "multipart/", "message/"))

    def content(self) -> bytes:
        """The body without its transfer encoding."""
        encoding = self.get("content-transfer-encoding").strip().lower()
        if encoding == "base64":
            return from_base64(self.body)
        return quopri.decodestring(self.body) if encoding == "quoted-printable" else self.body

    def text(self) -> str:
        """The body as text."""
        return decoded(self.content(), parameter(self.get("content-type"), "charset"))

    def walk(self) -> Iterator[Part]:
        """This part and all within, in their order."""
        yield self
        for each in self.parts:
            yield from each.walk()


def parse(raw: bytes) -> Part:
    """Take a mail apart. Of one that is longer than `LONGEST` only the beginning is looked at."""
    raw = raw[:LONGEST].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if raw.startswith((b"From ", b">From ")):  # as a mailbox file, or a pipe of an old mail server, begins
        raw = raw.partition(b"\n")[2]
    return parted(raw, 0, [MOST_PARTS])


def parted(raw: bytes, depth: int, left: list[int]) -> Part:
    """One part, with those within as far as the limits go.

    Args:
        raw: Headers and body.
        depth: How deep it stands.
        left: How many parts may still be looked at, all together; counted down.
    """
    headers, body = split(raw)
    whole = Part(headers, body)
    if depth >= DEEPEST:
        return whole
    if whole.kind.startswith(MULTIPART):
        boundary = parameter(whole.get("content-type"), "boundary")
        found = []
        for piece in pieces(body, boundary):
            if left[0] <= 0:
                break
            left[0] -= 1
            found.append(parted(piece, depth + 1, left))
        return Part(headers, body, tuple(found))
    if whole.kind in ("message/rfc822", "message/global") and left[0] > 0:
        left[0] -= 1
        return Part(headers, body, (parted(whole.content().lstrip(b"\n"), depth + 1, left),))
    return whole


def split(raw: bytes) -> tuple[tuple[tuple[str, str], ...], bytes]:
    """Headers and body of a part."""
    if raw.startswith(b"\n"):
        return (), raw[1:]
    head, _, body = raw.partition(b"\n\n")
    return fields(head[:LONGEST_HEAD]), body


def fields(head: bytes) -> tuple[tuple[str, str], ...]:
    """Lines of `Name: text`, those that go on in the next line put together."""
    found = []
    for line in re.split(rb"\n(?![ \t])", head):
        name, colon, value = line[: LONGEST_HEADER + 100].partition(b":")
        if colon and name.strip():
            text = decoded(value, "")[:LONGEST_HEADER]
            found.append((decoded(name, "").strip().lower()[:100], " ".join(text.split())))
    return tuple(found)


def pieces(body: bytes, boundary: str) -> Iterator[bytes]:
    """What stands between the boundary lines of a body; of one that breaks off, the last to its end."""
    if not boundary:
        return
    mark = b"--" + boundary.encode("utf-8", "surrogateescape")
    start: int | None = None
    for line in re.finditer(rb"^" + re.escape(mark) + rb"(--)?[ \t]*$", body, re.MULTILINE):
        if start is not None:
            yield body[start : max(start, line.start() - 1)]
        start = line.end() + 1
        if line[1]:
            return
    if start is not None:
        yield body[start:]


def parameter(value: str, name: str) -> str:
    """A parameter of a header, such as the boundary; empty where there is none."""
    found = re.search(rf';\s*{name}\s*=\s*(?:"([^"]*)"|([^\s;"]+))', value, re.IGNORECASE)
    return (found[1] if found[1] is not None else found[2]) if found else ""


def from_base64(body: bytes) -> bytes:
    """What can be read of base64 that may be broken."""
    letters = re.sub(rb"[^A-Za-z0-9+/]", b"", body)
    letters = letters[: len(letters) - 1] if len(letters) % 4 == 1 else letters
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def decoded(data: bytes, charset: str) -> str:
    """Bytes as text that can be stored, in a charset that may not exist."""
    return clean_text(as_text(data, charset.strip().lower().replace("-", "_")))


def as_text(data: bytes, name: str) -> str:
    """Bytes as text: in the charset they claim, else UTF-8, else what old Windows programs write."""
    try:
        if name and name not in NO_CHARSETS:
            return data.decode(name, "replace")
    except (LookupError, ValueError):
        pass
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def worded(value: str) -> str:
    """A header with its encoded words (RFC 2047) as people read it."""
    if "=?" not in value:
        return value
    try:
        parts = decode_header(value)
    except (ValueError, binascii.Error):  # HeaderParseError is a ValueError
        return value
    return "".join(part if isinstance(part, str) else decoded(part, charset or "") for part, charset in parts)


def words_of(mail: Part) -> str:
    """What a mail says: its plain text, else what its HTML shows. What is attached says nothing."""
    told = [each for each in mail.walk() if not each.parts and not each.is_attached]
    plain = [each for each in told if each.kind == "text/plain"]
    if any(each.body.strip() for each in plain):
        return "\n".join(each.text() for each in plain)
    return "\n".join(shown(each.text()) for each in told if each.kind == "text/html")


def attachments(mail: Part) -> int:
    """How many files came along."""
    return sum(1 for each in mail.walk() if not each.parts and each.is_attached)


def shown(page: str) -> str:
    """The text that a page of HTML shows, without what is quoted in it."""
    out: list[str] = []
    hidden = quoted = 0
    comment = False
    first, *rest = page[:LONGEST_PAGE].split("<")
    out.append(first)
    for piece in rest:
        if comment:
            comment = "-->" not in piece
            continue
        if piece.startswith("!--"):
            comment = "-->" not in piece
            out.append("" if comment or hidden or quoted else piece.partition("-->")[2])
            continue
        tag, _, text = piece.partition(">")
        name = re.split(r"[\s/]", tag.lstrip("/")[:20] + " ", maxsplit=1)[0].lower()
        is_end = tag.startswith("/")
        if name in UNSEEN and not tag.endswith("/"):
            hidden = 0 if is_end else 1
        elif name == "blockquote":
            quoted = max(0, quoted + (-1 if is_end else 1))
        elif not is_end and QUOTES.search(tag[:500]):
            break
        if name in BREAKS:
            out.append("\n")
        if not hidden and not quoted:
            out.append(" ".join(text.split("\n")))
    return html.unescape("".join(out)).replace("\xa0", " ")
