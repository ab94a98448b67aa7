"""Addresses for programs that watch: no cookie, no limit, no words of anybody."""

from __future__ import annotations

from typing import cast

from flask import Blueprint, Response, current_app, jsonify, make_response, request
from flask.sansio.blueprints import BlueprintSetupState
from prometheus_client import CONTENT_TYPE_LATEST

from feedback_loop.accounts.access import public
from feedback_loop.clock import utc_now
from feedback_loop.watching.probes.facts import Facts
from feedback_loop.watching.probes.health import OK, Health, expected_revisions
from feedback_loop.watching.probes.metrics import Metrics, may_read
from feedback_loop.web.database import settings
from feedback_loop.web.requests import OBSERVERS

bp = Blueprint("probes", __name__)

HEALTH = "feedback_loop.health"
METRICS = "feedback_loop.metrics"


@bp.record
def prepare(state: BlueprintSetupState) -> None:
    """Give an application what answers here."""
    extensions = state.app.extensions
    _, sessions = extensions["feedback_loop"]
    engine = sessions.kw["bind"]
    url = engine.url.render_as_string(hide_password=False)
    extensions[HEALTH] = Health(url, expected_revisions(engine))
    extensions[METRICS] = metrics = Metrics(Facts(sessions, url, utc_now))
    extensions.setdefault(OBSERVERS, []).append(metrics.observe)


@bp.get("/health/live")
@public
def live() -> Response:
    """This process answers."""
    return jsonify(status=OK)


@bp.get("/health/ready")
@public
def ready() -> Response:
    """This process can serve."""
    checks = cast(Health, current_app.extensions[HEALTH]).checks()
    is_ready = all(said == OK for said in checks.values())
    response = jsonify(status=OK if is_ready else "not ready", checks=checks)
    response.status_code = 200 if is_ready else 503
    return response


@bp.get("/metrics")
@public
def metrics() -> Response:
    """How things stand, for Prometheus."""
    if may_read(request.environ, settings()):
        return Response(cast(Metrics, current_app.extensions[METRICS]).text(), content_type=CONTENT_TYPE_LATEST)
    if settings().metrics_token:
        response = make_response("Send the METRICS_TOKEN of this installation as Authorization: Bearer.\n", 401)
        response.headers["WWW-Authenticate"] = "Bearer"
    else:
        response = make_response(
            "Set METRICS_TOKEN. Without it this is only for who asks directly on the machine itself, and only where "
            "PUBLIC_URL is an address of this machine, too.\n",
            403,
        )
    response.content_type = "text/plain; charset=utf-8"
    return response
