"""Whose pages may show a survey: origins, that is scheme, host and port, as browsers compare them."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

MOST_ORIGINS = 50  # they all stand in one header
OWN_MACHINE = ("localhost", "127.0.0.1", "::1")
HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
PORTS = {"https": 443, "http": 80}


def read_origin(text: str) -> str:
    """Read an origin and write it as browsers do: small letters, no usual port, names of other scripts in ASCII.

    Args:
        text: For example `https://www.example.com` or `http://localhost:3000`.

    Raises:
        ValueError: It is none, or one that is not safe; the message says what to enter.
    """
    shown = text.strip()
    try:
        parts = urlsplit(shown)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode()
    except ValueError:  # a port that is none, brackets that do not close, a name that is none
        raise ValueError(f"{shown[:100]} is no address; enter one such as https://www.example.com.") from None
    if parts.scheme not in PORTS or not (HOST.fullmatch(host) or host in OWN_MACHINE):
        raise ValueError(f"{shown[:100]} is no address; enter one such as https://www.example.com.")
    if parts.username is not None or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"{shown[:100]}: enter only its beginning, {parts.scheme}://{parts.netloc.split('@')[-1]}.")
    if parts.scheme == "http" and host not in OWN_MACHINE:
        raise ValueError(f"{shown[:100]}: enter it with https; http is for localhost only.")
    written = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{written}" + (f":{port}" if port not in (None, PORTS[parts.scheme]) else "")
