"""Sealing of what customers typed. The raw text lies encrypted beside its answer until it expires, and is read only
here."""

from __future__ import annotations

from datetime import datetime

from cryptography.fernet import Fernet, InvalidToken

from feedback_loop import tokens


class RawTextUnreadable(ValueError):
    """The raw text was sealed with another key."""


def box(secret_key: str) -> Fernet:
    """The box that opens with this installation's key."""
    return tokens.box(secret_key, "raw-comment")


def seal(text: str, secret_key: str, at: datetime) -> bytes:
    """Encrypt a raw comment.

    Args:
        text: As typed.
        secret_key: The installation's.
        at: When; the seal holds it readable for everybody, so that of an anonymous answer it is only the day.
    """
    return box(secret_key).encrypt_at_time(text.encode(), int(at.timestamp()))


def unseal(sealed: bytes, secret_key: str) -> str:
    """Decrypt a raw comment.

    Raises:
        RawTextUnreadable: SECRET_KEY is not the one it was sealed with.
    """
    try:
        return box(secret_key).decrypt(sealed).decode()
    except InvalidToken:
        raise RawTextUnreadable(
            "The raw text was stored under another SECRET_KEY; restore that key to read it."
        ) from None
