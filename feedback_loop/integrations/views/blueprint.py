"""The blueprint, and what its pages share."""

from __future__ import annotations

from flask import Blueprint
from werkzeug.wrappers import Response

bp = Blueprint("integrations", __name__)

Reply = str | tuple[str, int] | Response
