"""Sealing of what customers typed. The raw text lies encrypted beside its answer until it expires, and is read only
here."""

from __future__ import annotations

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken


class RawTextUnreadable(ValueError):
    """The raw text was sealed with another key."""


def box(secret_key: str) -> Fernet:
    """The box that opens with this installation's key (Fernet: AES-128-CBC with HMAC-SHA256)."""
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(f"raw-comment:{secret_key}".encode()).digest()))


def seal(text: str, secret_key: str) -> bytes:
    """Encrypt a raw comment."""
    return box(secret_key).encrypt(text.encode())


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
