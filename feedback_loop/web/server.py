"""The web server: gunicorn, configured from the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from feedback_loop.settings import Settings


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
            "control_socket_disable": True,
        }
        for name, value in options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Flask:
        """Build the application in this process."""
        return self.build()
