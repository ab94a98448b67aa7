"""What the documents promise other systems is what the code does."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from feedback_loop.integrations.catalogue import EVENTS, TEST
from feedback_loop.integrations.signing import headers, new_secret

DOCUMENT = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()


def test_the_catalogue_of_events_is_the_one_of_the_code() -> None:
    listed = dict(re.findall(r"^\| `([a-z_.]+)` \| (.+?) \| `", DOCUMENT, re.MULTILINE))
    assert listed.pop(TEST)
    assert listed == EVENTS


def test_the_code_that_checks_signatures_takes_ours_and_no_other() -> None:
    code = re.search(r"```python\n(.+?)```", DOCUMENT, re.DOTALL)
    assert code
    names: dict[str, object] = {}
    exec(code[1], names)
    is_ours = names["is_ours"]
    assert callable(is_ours)
    old, new, body, now = new_secret(), new_secret(), b'{"type":"item.closed"}', datetime.now(UTC)
    signed = headers([new, old], "evt_history-1", now, body)
    assert is_ours(new, signed, body)
    assert is_ours(old, signed, body), "while one secret takes over from another both sign"
    assert not is_ours(new_secret(), signed, body)
    assert not is_ours(new, signed, body + b" ")
    assert not is_ours(new, signed | {"webhook-id": "evt_history-2"}, body)
    assert not is_ours(new, headers([new], "evt_history-1", datetime(2026, 1, 1, tzinfo=UTC), body), body), "too old"


def test_a_known_signature_comes_out() -> None:
    """Worked out by hand with `openssl dgst -sha256 -hmac`, so that a mistake of ours is not checked by itself."""
    at = datetime.fromtimestamp(1614265330, UTC)
    found = headers(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}'
    )
    assert found["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
