"""The web server: gunicorn, configured from the settings."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from feedback_loop.settings import Settings


class Log(Logger):  # type: ignore[misc]
    """gunicorn's log as part of ours. Its own log of requests stays off: it names paths and networks."""

    def setup(self, cfg: Any) -> None:
        """Leave handlers and format to the root."""
        self.error_log.handlers[:] = []
        self.error_log.propagate = True
        self.error_log.setLevel(self.LOG_LEVELS.get(cfg.loglevel.lower(), logging.WARNING))
        self.access_log.handlers[:] = []
        self.access_log.propagate = False


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn serving one application, built in each process after the fork."""

    def __init__(self, settings: Settings, build: Callable[[], Flask]) -> None:
        self.settings = settings
        self.build = build
        super().__init__()

    def load_config(self) -> None:
        """Tell gunicorn what the settings say."""
        options: dict[str, Any] = {
            "bind": self.settings.bind,
            "workers": self.settings.web_processes,
            "threads": self.settings.web_threads,
            "worker_class": "gthread",
            "timeout": 60,
            "graceful_timeout": 10,
            "loglevel": "warning",
            "logger_class": Log,
            "control_socket_disable": True,
            # What is there once a process has begun stays: the garbage collector need not look at it each time.
            "post_worker_init": lambda _worker: gc.freeze(),
        }
        for name, value in options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Flask:
        """Build the application in this process."""
        return self.build()
