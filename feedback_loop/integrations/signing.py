"""Signatures as Standard Webhooks describes them (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

PREFIX = "whsec_"
SECRET_BYTES = 24


def new_secret() -> str:
    """A new secret, as the other system is given it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signature(secret: str, event_id: str, timestamp: int, body: bytes) -> str:
    """One signature: over the id, the moment of sending and the body."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{event_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def headers(keys: Sequence[str], event_id: str, now: datetime, body: bytes) -> dict[str, str]:
    """The headers of a signed request.

    Args:
        keys: Secrets that are valid now: two of them while one takes over from the other.
    """
    timestamp = int(now.timestamp())
    signatures = " ".join(signature(each, event_id, timestamp, body) for each in keys)
    return {"webhook-id": event_id, "webhook-timestamp": str(timestamp), "webhook-signature": signatures}
