"""Values that have broken programs before, as the bytes in which they arrive."""

from __future__ import annotations

from urllib.parse import quote_from_bytes

MARKER = "<svg/onload=x7>"  # must never stand in a page as it was sent

NASTY: dict[str, bytes] = {
    "empty": b"",
    "space": b" \t ",
    "NUL": b"a\x00b",
    "lone surrogates": b"a\xed\xa0\x80b\xed\xbf\xbf",
    "not UTF-8": b"\xff\xfe\xc0\xaf",
    "a cut character": "é".encode()[:1],
    "noncharacters": "\ufffe\uffff\U0010ffff".encode(),
    "beyond the first plane": "🙂👩‍👩‍👧".encode(),
    "bidi controls": "a\u202e\u2066b\u200f\u061c\u2069".encode(),
    "stacked marks": ("a" + "\u0301" * 500).encode(),
    "CRLF": b"x\r\nSet-Cookie: injected=1\r\n\r\n<p>",
    "other line ends": "a\u2028b\u2029c\u0085d\ve\ff".encode(),
    "2^70": str(2**70).encode(),
    "2^63": str(2**63).encode(),
    "minus": b"-1",
    "1e999": b"1e999",
    "NaN": b"NaN",
    "Infinity": b"-Infinity",
    "other digits": "٣".encode(),
    "many digits": b"9" * 5000,
    "markup": f"\"'>{MARKER}&amp;".encode(),
    "template": b"{{7*7}}{% include 'x' %}%(name)s%n${x}",
    "SQL": b"' OR 1=1; --",
    "path": b"../../etc/passwd",
    "other site": b"//evil.example/%2f..",
    "backslash site": b"/\\evil.example",
    "percent": b"%00%zz%",
    "brackets": b"http://[::1",
    "long": b"x" * 5000,
}
# In these the databases differ; what never reaches one is tried beside SQLite only.
TOLD_APART = (
    "NUL",
    "lone surrogates",
    "not UTF-8",
    "noncharacters",
    "CRLF",
    "2^70",
    "1e999",
    "NaN",
    "long",
    "bidi controls",
)
LARGE: dict[str, bytes] = {
    "almost 1 MB": b"w " * 500_000,
    "1 MB of marks": "é".encode() * 500_000,
    "more than 1 MB": b"w" * (1024 * 1024 + 1),
}

DEEP = b"[" * 10_000 + b"]" * 10_000
JSON: dict[str, bytes] = {
    "deep": DEEP,
    "deep items": b'{"items": ' + DEEP + b"}",
    "deep objects": b'{"items":[' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"]}",
    "huge number": b'{"items": [{"survey": "help-centre", "score": 1' + b"0" * 5000 + b"}]}",
    "2^70": b'{"items": [{"survey": "help-centre", "score": 1180591620717411303424}]}',
    "1e999": b'{"items": [{"survey": "help-centre", "score": 1e999}]}',
    "NaN": b'{"items": [{"survey": "help-centre", "score": NaN}]}',
    "twins": b'{"items": [], "items": [{}]}',
    "NUL": b'{"items": [{"survey": "help-centre", "comment": "a\\u0000b", "external_id": "\\u0000"}]}',
    "surrogates": b'{"items": [{"survey": "\\ud800", "comment": "\\udfff\\ud83d"}, {"customer_email": "\\ud800@x"}]}',
    "not UTF-8": b'{"items": ["\xff\xed\xa0\x80"]}',
    "UTF-16": '{"items": []}'.encode("utf-16"),
    "cut": b'{"items": [{"survey": "help',
    "other kinds": b'{"items": [null, true, 1, "x", [], {"": {}}, {"survey": [], "context": {"a": {"b": []}}}]}',
    "years": b'{"items": [{"survey": "help-centre", "comment": "x", "answered_at": "0001-01-01T00:00:00+14:00"},'
    b'{"survey": "help-centre", "comment": "x", "answered_at": "9999-12-31T23:59:59-14:00"},'
    b'{"survey": "help-centre", "comment": "x", "answered_at": "2026-10-01T08:00:00+99:99"}]}',
    "many": b'{"items": [' + b"{}," * 1000 + b"{}]}",
    "bare": b"0",
    "empty": b"",
}

BOUNDARY = b"--b7"


def part(name: bytes, value: bytes, headers: bytes = b"") -> bytes:
    """One part of a multipart body."""
    return (
        BOUNDARY + b'\r\nContent-Disposition: form-data; name="' + name + b'"' + headers + b"\r\n\r\n" + value + b"\r\n"
    )


def multipart(fields: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(part(name, value) for name, value in fields) + BOUNDARY + b"--\r\n"


BROKEN_MULTIPART: dict[str, tuple[bytes, bytes]] = {
    # name: (what stands after the content type, body)
    "no boundary": (b"", multipart([(b"score", b"yes")])),
    "empty boundary": (b"; boundary=", multipart([(b"score", b"yes")])),
    "another boundary": (b"; boundary=zz", multipart([(b"score", b"yes")])),
    "a boundary of bytes": (b"; boundary=\xff\x00", multipart([(b"score", b"yes")])),
    "a long boundary": (b"; boundary=" + b"b" * 3000, multipart([(b"score", b"yes")])),
    "never ends": (b"; boundary=b7", part(b"comment", b"a")[:-4]),
    "no headers": (b"; boundary=b7", BOUNDARY + b"\r\n\r\nvalue\r\n" + BOUNDARY + b"--"),
    "no name": (b"; boundary=b7", BOUNDARY + b"\r\nContent-Disposition: form-data\r\n\r\nv\r\n" + BOUNDARY + b"--"),
    "header without end": (b"; boundary=b7", BOUNDARY + b"\r\nContent-Disposition: form-data; name=" + b"n" * 100_000),
    "file in a field": (b"; boundary=b7", part(b"comment", b"x", b'; filename="../../x\x00.png"') + BOUNDARY + b"--"),
    "unknown charset": (
        b"; boundary=b7",
        part(b"comment", b"x", b"\r\nContent-Type: text/plain; charset=no-such") + BOUNDARY + b"--",
    ),
    "charset rot13": (
        b"; boundary=b7",
        part(b"comment", b"x", b"\r\nContent-Type: text/plain; charset=rot13") + BOUNDARY + b"--",
    ),
    "many parts": (b"; boundary=b7", multipart([(b"c_%d" % number, b"v") for number in range(1500)])),
    "the same name": (b"; boundary=b7", multipart([(b"comment", b"a"), (b"comment", b"b"), (b"score", b"no")])),
    "name of bytes": (b"; boundary=b7", multipart([(b"\xff\x00\xed\xa0\x80", b"\xff")])),
}


def escaped(value: bytes) -> str:
    """As part of an address or of a form."""
    return quote_from_bytes(value, safe="")
