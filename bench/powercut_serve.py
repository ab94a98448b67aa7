"""Starts the product's web server for `powercut.py`: as it is, or, for the control, with less durability than it ever
has."""

from __future__ import annotations

import os
import sys
from typing import Any

from sqlalchemy import Engine, event

from feedback_loop import db


def weaken(level: str) -> None:
    """Let every engine that is made from now on set another `PRAGMA synchronous` on its connections."""
    make_engine = db.make_engine

    def make_weak_engine(url: str) -> Engine:
        engine = make_engine(url)

        @event.listens_for(engine, "connect")
        def set_level(connection: Any, _record: Any) -> None:
            connection.cursor().execute(f"PRAGMA synchronous={level}")

        return engine

    db.make_engine = make_weak_engine


if __name__ == "__main__":
    if os.environ.get("POWERCUT_SYNCHRONOUS"):
        weaken(os.environ["POWERCUT_SYNCHRONOUS"])
    from feedback_loop.cli import main

    sys.argv = ["feedback-loop", "serve"]
    main()
