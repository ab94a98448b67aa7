"""The request as our pages read it."""

from __future__ import annotations

from typing import Any

import flask


class Request(flask.Request):
    """A request whose address may hold any bytes. What is not UTF-8 there is read with a replacement, as in forms."""

    def __init__(self, environ: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        # Servers hand bytes on as they come, where browsers would have written %E9; Werkzeug reads that, not the bytes.
        given = environ.get("QUERY_STRING", "").encode("latin-1")
        environ["QUERY_STRING"] = "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in given)
        super().__init__(environ, *args, **kwargs)
