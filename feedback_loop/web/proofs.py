"""Proof of work in altcha's format (SHA-256): a browser looks for a number for a moment, a program for thousands of
answers looks for long. A proof belongs to one page, and one page is one answer: used again it changes that answer."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from datetime import timedelta
from enum import StrEnum

from altcha.v1 import ChallengeOptions, create_challenge, extract_params, verify_solution

from feedback_loop.clock import utc_now
from feedback_loop.web.database import settings

HARDNESS = 100_000  # hashes at most, half of it on average: less than a second on a phone
AGE = timedelta(hours=1)


class Proof(StrEnum):
    """What came with a form."""

    GOOD = "good"
    UNASKED = "unasked"  # the page was made before it had to ask
    MISSING = "missing"  # the page asked, and no script answered
    OLD = "old"
    FALSE = "false"


def key() -> str:
    """Signs challenges."""
    return hashlib.sha256(f"proof-of-work:{settings().secret_key}".encode()).hexdigest()


def challenge(page_key: str) -> str:
    """What the script of a page has to solve, as JSON.

    Args:
        page_key: Of the page; a proof fits no other.
    """
    options = ChallengeOptions(
        algorithm="SHA-256",
        max_number=HARDNESS,
        hmac_key=key(),
        expires=utc_now() + AGE,
        params={"page": page_key[:32]},
    )
    made = create_challenge(options)
    return json.dumps(made.to_dict())


def check(sent: str | None, page_key: str) -> Proof:
    """Judge what a form brought as its proof; None where it had no such field."""
    if sent is None:
        return Proof.UNASKED
    if not sent:
        return Proof.MISSING
    try:
        payload = json.loads(base64.b64decode(sent, validate=True))
        is_right, _ = verify_solution(payload, key(), check_expires=False)
        if not is_right or extract_params(payload).get("page") != [page_key[:32]]:
            return Proof.FALSE
        is_right, _ = verify_solution(payload, key())
    except (binascii.Error, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return Proof.FALSE
    return Proof.GOOD if is_right else Proof.OLD
