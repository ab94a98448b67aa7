"""When two texts are the same statement: nearly the same words, however they were typed."""

from __future__ import annotations

import re
import unicodedata

_ASCII_WORDS = re.compile(r"[a-z0-9]+")
_LENGTHENED = re.compile(r"([^\W\d_])\1{2,}")


def normalised(text: str) -> str:
    """The text without case, punctuation and doubled spaces, and without letters held down ("sooo late").

    Two texts with one normal form are the same statement: they share a vector, and a complaint unless a person decides
    otherwise. A text of signs alone is its own normal form.
    """
    if text.isascii():
        plain = text.lower()
        words = _ASCII_WORDS.findall(plain)
    else:
        plain = unicodedata.normalize("NFKC", text).casefold()
        words = "".join(c if c.isalnum() or unicodedata.category(c).startswith("M") else " " for c in plain).split()
    return _LENGTHENED.sub(r"\1", " ".join(words)) or plain.strip()
