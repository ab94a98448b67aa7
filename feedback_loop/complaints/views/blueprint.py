"""The blueprint that the pages of this folder share."""

from __future__ import annotations

from flask import Blueprint

bp = Blueprint("complaints", __name__)
