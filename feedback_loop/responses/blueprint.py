"""The blueprint of the pages on which customers answer, and of those on which staff look after answers."""

from __future__ import annotations

from flask import Blueprint
from werkzeug.wrappers import Response

from feedback_loop.web.security import keep_private

bp = Blueprint("responses", __name__)
bp.after_request(keep_private)

Page = str | Response | tuple[str, int] | dict[str, bool]
