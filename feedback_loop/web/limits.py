"""Rate limits. Nobody who answers honestly meets one: what counts is what was taken in, and what no person does.

Flask-Limiter chooses the storage and the way of counting; pages ask by hand, because only they know, once the form is
read, whether it counts. Where the storage does not answer nothing is limited: pages go on.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeVar, cast

from flask import Flask, Response, current_app, g, request
from flask_limiter import Limiter
from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute

from feedback_loop.clock import utc_now
from feedback_loop.settings import Settings
from feedback_loop.web import limitcounts  # noqa: F401  # makes its storage known by its scheme
from feedback_loop.web.database import settings

log = logging.getLogger(__name__)

T = TypeVar("T")
EXTENSION = "feedback_loop.limits"
OFF = "off"
COUNTING = threading.Lock()
TELL_EVERY = 1.0  # seconds
DIFFERENCE = 0.05  # of a count
IPV6_NETWORK = 64  # what one household or one server gets

# What no person does: forms whose token is not ours, fields that people do not see, Send in no time, forged proofs.
ABUSE = RateLimitItemPerMinute(30, namespace="feedback-loop:abuse")
UNPROVEN = RateLimitItemPerMinute(
    30, namespace="feedback-loop:unproven"
)  # answers that wait for a person to look at them
# What one link brings: its owner changes an answer now and then.
LINK = RateLimitItemPerMinute(30, namespace="feedback-loop:link")
SIGNS = RateLimitItemPerMinute(120, namespace="feedback-loop:signs")
SIGN_IN = RateLimitItemPerMinute(10, 15, namespace="feedback-loop:sign-in")  # one account from one network
SIGN_IN_NETWORK = RateLimitItemPerMinute(
    50, 15, namespace="feedback-loop:sign-in-network"
)  # all accounts from one network
SIGN_IN_ACCOUNT = RateLimitItemPerHour(100, namespace="feedback-loop:sign-in-account")  # one account from everywhere
SIGN_IN_WATCHED = RateLimitItemPerMinute(
    3, 15, namespace="feedback-loop:sign-in-watched"
)  # such an account, from one network
INBOUND = RateLimitItemPerMinute(600, namespace="feedback-loop:inbound")  # mails a server hands in
INBOUND_WRONG = RateLimitItemPerMinute(20, namespace="feedback-loop:inbound-wrong")  # secrets that are none
SEARCHES = RateLimitItemPerMinute(30, namespace="feedback-loop:searches")


def answers() -> RateLimitItem:
    """What one network may send to one survey before its browsers have to prove that they work for it."""
    return per_minute(settings().answers_per_minute, "feedback-loop:answers")


def api_requests() -> RateLimitItem:
    """What one API key may ask."""
    return per_minute(settings().api_requests_per_minute, "feedback-loop:api")


@cache
def per_minute(amount: int, namespace: str) -> RateLimitItem:
    """A limit that the settings say, made once."""
    return RateLimitItemPerMinute(amount, namespace=namespace)


def init_app(app: Flask, settings: Settings) -> None:
    """Give an application its counts."""
    if settings.rate_limit_storage == OFF:
        return
    limiter = Limiter(here, storage_uri=settings.rate_limit_storage, strategy="fixed-window")
    # Known already, it asks nothing before each request: no page has a limit by its address alone, and looking for one
    # took longer than counting does.
    app.extensions.setdefault("limiter", set()).add(limiter)
    limiter.init_app(app)
    app.extensions[EXTENSION] = limiter
    app.after_request(add_headers)


def here() -> str:
    """The network that asks, as a hash that is another one tomorrow: addresses are personal and are kept nowhere."""
    if "network" not in g:
        g.network = veiled(network(request.remote_addr or ""))
    return cast(str, g.network)


def network(address: str) -> str:
    """An address; of IPv6 the network that one household gets, as it has as many addresses as it likes."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, IPV6_NETWORK), strict=False))
    return str(found)


def veiled(text: str) -> str:
    """What is kept of something personal that is counted by: its hash with this installation's key and today's date."""
    key = f"limits:{utc_now():%Y-%m-%d}:{settings().secret_key}".encode()
    return hmac.digest(key, text.encode("utf-8", "replace"), "sha256").hex()[:32]


def is_over(limit: RateLimitItem, *who: str) -> bool:
    """Whether a limit is used up. Asking uses nothing."""
    return ask(lambda limiter: not limiter.limiter.test(limit, *who), False)


def count(limit: RateLimitItem, *who: str) -> bool:
    """Count once; whether it was within the limit."""
    return ask(lambda limiter: limiter.limiter.hit(limit, *who), True)


def forget(limit: RateLimitItem, *who: str) -> None:
    """Begin to count anew."""
    ask(lambda limiter: limiter.limiter.clear(limit, *who), None)


@dataclass
class Untold:
    """What came to this process of something that is counted everywhere.

    Attributes:
        count: How often it came here since the others were told.
        known: How often it had been everywhere by then.
        told_at: When that was, by the monotonic clock.
    """

    count: int = 0
    known: int = 0
    told_at: float = -math.inf


def increase(name: str, seconds: int, every: int) -> int:
    """Count something that has no limit and comes often, over a window.

    It is counted in this process, and told to the counts that all share only every so many times: one row that each
    answer waits for would be slower than the answers. Where there are many by then, it is told with what makes a
    difference, and otherwise once in `TELL_EVERY`.

    Returns:
        How often it has been everywhere by now, where it was told just now; otherwise 0.
    """
    counts = current_app.extensions.setdefault(f"{EXTENSION}.here", defaultdict[str, Untold](Untold))
    now = time.monotonic()
    with COUNTING:
        here: Untold = counts[name]
        here.count += 1
        makes_a_difference = here.count >= here.known * DIFFERENCE or now >= here.told_at + TELL_EVERY
        if here.count < every or not makes_a_difference:
            return 0
        told, here.count, here.told_at = here.count, 0, now
    found = ask(lambda limiter: limiter.storage.incr(f"feedback-loop:{name}", seconds, amount=told), 0)
    here.known = found
    return found


def counted(name: str) -> int:
    """How often something that has no limit was in the window that runs."""
    return ask(lambda limiter: limiter.storage.get(f"feedback-loop:{name}"), 0)


def left(limit: RateLimitItem, *who: str) -> tuple[int, int]:
    """How much of a limit is left, and in how many seconds all of it is again."""

    def look(limiter: Limiter) -> tuple[int, int]:
        stats = limiter.limiter.get_window_stats(limit, *who)
        return stats.remaining, max(1, math.ceil(stats.reset_time - time.time()))

    return ask(look, (limit.amount, limit.get_expiry()))


def retry_after(limit: RateLimitItem, *who: str) -> dict[str, str]:
    """The header that says when to try again."""
    return {"Retry-After": str(left(limit, *who)[1])}


def tell(limit: RateLimitItem, *who: str) -> None:
    """Say in the response to a program how much it may still ask (draft-ietf-httpapi-ratelimit-headers-07)."""
    if EXTENSION in current_app.extensions:
        remaining, seconds = left(limit, *who)
        g.rate_limit_headers = {
            "RateLimit-Limit": str(limit.amount),
            "RateLimit-Remaining": str(remaining),
            "RateLimit-Reset": str(seconds),
        }


def add_headers(response: Response) -> Response:
    """Set what was to be told."""
    response.headers.update(g.get("rate_limit_headers", {}))
    return response


def ask(question: Callable[[Limiter], T], otherwise: T) -> T:
    """Ask the counts; where limits are off or nothing answers, go on as if nothing had been counted."""
    limiter = cast("Limiter | None", current_app.extensions.get(EXTENSION))
    if limiter is None:
        return otherwise
    state = current_app.extensions
    try:
        found = question(limiter)
    except Exception as error:  # whatever a storage raises, no page may fail for it
        if not state.get(f"{EXTENSION}.down"):
            state[f"{EXTENSION}.down"] = True
            log.error(
                "The counts of rate limits cannot be reached; nothing is limited meanwhile: %s", type(error).__name__
            )
        return otherwise
    if state.pop(f"{EXTENSION}.down", False):
        log.warning("The counts of rate limits can be reached again.")
    return found
