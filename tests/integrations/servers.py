"""Small web servers on loopback that answer what a test says and remember what they were asked."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from feedback_loop.outbound import Allowed, Outbound

Reply = tuple[int, dict[str, str], bytes]


@dataclass
class Asked:
    """One request, as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    """What is answered, and what was asked."""

    answer: Callable[[Asked], Reply] = lambda _asked: (200, {}, b"ok")
    asked: list[Asked] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving(server: Server | None = None, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Run a server meanwhile."""
    server = server or Server()

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, self.rfile.read(length))
            server.asked.append(asked)
            status, extra, body = server.answer(asked)
            self.send_response(status)
            for name, value in extra.items():
                self.send_header(name, value)
            if status != 304:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if status != 304:
                try:
                    self.wfile.write(body)
                except OSError:
                    self.close_connection = True

        do_GET = do_POST = do_PATCH = handle_one  # noqa: N815 (names of http.server)

        def log_message(self, *_args: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        listening.socket = tls.wrap_socket(listening.socket, server_side=True, do_handshake_on_connect=False)
    server.port = listening.server_port
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


LOOPBACK = Allowed.read(["127.0.0.0/8"])


def on_loopback(**options: Any) -> Outbound:
    """Requests that may reach this machine."""
    return Outbound(LOOPBACK, **options)
