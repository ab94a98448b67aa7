"""Secrets in links and keys. The database stores only their hashes; whoever reads it can open no customer's page.

A token is either drawn at random and shown once, or derived from the installation's key and a random identifier, so
that a mail that is sent again carries the same link although the link was never stored.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from functools import cache

from cryptography.fernet import Fernet

TOKEN_LENGTH = 32  # characters; 24 random bytes in URL-safe base64


def draw() -> str:
    """A new random token of 192 bits."""
    return secrets.token_urlsafe(24)


def derive(secret_key: str, purpose: str, identifier: str) -> str:
    """The token of one thing, the same each time it is asked for.

    Args:
        secret_key: The installation's key.
        purpose: What the token opens; tokens of one purpose never open another.
        identifier: Random identifier of the thing.
    """
    digest = hmac.new(secret_key.encode(), f"{purpose}:{identifier}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:24]).decode()


def hashed(token: str) -> str:
    """What is stored of a token: its SHA-256 in hex, 64 characters."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


@cache
def box(secret_key: str, purpose: str) -> Fernet:
    """The box that opens with this installation's key (Fernet: AES-128-CBC with HMAC-SHA256).

    Args:
        secret_key: The installation's key.
        purpose: What lies in it; a box of one purpose never opens another.
    """
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(f"{purpose}:{secret_key}".encode()).digest()))
