"""Metrics in the format of Prometheus: facts from rows, and what this process has counted itself."""

from __future__ import annotations

import hmac
import ipaddress
import logging
import os
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from feedback_loop.logs import named
from feedback_loop.settings import Settings
from feedback_loop.watching.probes.facts import Facts
from feedback_loop.web.requests import Done

log = logging.getLogger(__name__)

PREFIX = "feedback_loop_"
FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA", "HTTP_X_FORWARDED_PROTO")
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class FromRows(Collector):
    """Hands the facts to Prometheus's client. A database that does not answer leaves the counts of this process."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts

    def describe(self) -> list[Metric]:
        """Nothing beforehand: asking would need the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The facts, grouped by name."""
        up = GaugeMetricFamily(f"{PREFIX}database_up", "Whether the facts from rows could be read.")
        families: dict[str, GaugeMetricFamily] = {}
        try:
            found = self.facts.now()
        except (SQLAlchemyError, TimeoutError, OSError) as error:
            log.error("The facts for metrics could not be read: %s", named(error))
            found = []
            up.add_metric([], 0)
        else:
            up.add_metric([], 1)
        yield up
        for fact in found:
            family = families.setdefault(
                fact.name, GaugeMetricFamily(PREFIX + fact.name, fact.meaning, labels=list(fact.labels))
            )
            family.add_metric(list(fact.labels.values()), fact.value)
        yield from families.values()


class Metrics:
    """What one web process tells."""

    def __init__(self, facts: Facts) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(FromRows(facts))
        ProcessCollector(registry=self.registry)
        labels = ["process", "method", "route", "status"]
        self.requests = Counter(
            f"{PREFIX}http_requests", "Requests that this web process has answered.", labels, registry=self.registry
        )
        self.seconds = Histogram(
            f"{PREFIX}http_request_seconds", "How long it took to answer them.", ["process", "route"], buckets=BUCKETS,
            registry=self.registry,
        )  # fmt: skip
        self.errors = Counter(
            f"{PREFIX}http_errors", "Requests that it answered with 500 or more.", ["process", "route"],
            registry=self.registry,
        )  # fmt: skip

    def observe(self, done: Done) -> None:
        """Count a request. Routes are templates and statuses are few, so that the number of series has an end."""
        process = str(os.getpid())
        self.requests.labels(process, done.method, done.route, str(done.status)).inc()
        self.seconds.labels(process, done.route).observe(done.seconds)
        if done.status >= 500:
            self.errors.labels(process, done.route).inc()

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)


def is_loopback(address: str) -> bool:
    """Whether an address or a host name is of this machine."""
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def is_here(environ: Mapping[str, object], settings: Settings) -> bool:
    """Whether a request was made on this machine, and directly.

    Behind a proxy every request seems to: so one that any proxy has touched does not count, and neither does any where
    the site has a public address, for then a proxy may stand there that tells nothing.
    """
    if any(environ.get(name) for name in FORWARDED):
        return False
    if not is_loopback(urlsplit(settings.public_url).hostname or ""):
        return False
    original = environ.get("werkzeug.proxy_fix.orig")
    address = original.get("REMOTE_ADDR") if isinstance(original, dict) else environ.get("REMOTE_ADDR")
    return is_loopback(str(address or ""))


def may_read(environ: Mapping[str, object], settings: Settings) -> bool:
    """Whether whoever asks may read the metrics: with the token where there is one, else only on this machine."""
    if not settings.metrics_token:
        return is_here(environ, settings)
    given = str(environ.get("HTTP_AUTHORIZATION", "")).encode("latin-1", "replace")
    return hmac.compare_digest(given, f"Bearer {settings.metrics_token}".encode())
