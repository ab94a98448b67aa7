"""What answers are measured against: a Flask view that does one INSERT of an equal row, under the same server, threads,
engine and durability as the product. Run by `bench/answers.py`."""

from __future__ import annotations

import sys

from flask import Flask, request
from sqlalchemy import insert

from feedback_loop.clock import utc_now
from feedback_loop.db import make_engine
from feedback_loop.responses.models import Answer
from feedback_loop.settings import read_settings
from feedback_loop.web.server import Server


def build() -> Flask:
    """The application, with an engine of its own after the fork."""
    engine = make_engine(read_settings().database_url)
    app = Flask("feedback_loop")

    @app.post("/answer")
    def answer() -> tuple[str, int]:
        now = utc_now()
        values = {
            "survey_id": 1,
            "score": 1,
            "comment": request.form["comment"],
            "page_key": request.form["page_key"],
            "redactions": [],
            "context": {},
            "answered_at": now,
            "received_at": now,
        }
        with engine.begin() as connection:
            connection.execute(insert(Answer), values)
        return "", 303

    return app


if __name__ == "__main__":
    sys.argv = sys.argv[:1]  # gunicorn would read our arguments as its own
    Server(read_settings(), build).run()
