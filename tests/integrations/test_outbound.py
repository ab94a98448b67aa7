"""No request reaches what lies behind our firewall, whatever is typed and whatever a name means."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from feedback_loop.outbound import LONGEST_ANSWER, METADATA, Allowed, Forbidden, Outbound, Unreachable
from feedback_loop.settings import SettingError, read_settings
from tests.integrations.servers import Asked, Reply, Server, on_loopback, serving

PUBLIC = "93.184.216.34"


def leading_to(*addresses: str) -> Outbound:
    """Requests where every name has these addresses, and nothing private is allowed."""
    return Outbound(lookup=lambda _host, _port: addresses, connect_seconds=0.2)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.1.1", "0.0.0.0", "100.64.0.1",
        "224.0.0.1", "240.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.0.8", "192.0.2.1", "192.88.99.1",
        "::", "::1", "::7f00:1", "fe80::1", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "2001:db8::1", "100::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1",
        "2002:7f00:1::", "2002:5db8:d822::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "fe80::1%eth0",
        *sorted(map(str, METADATA)),
    ],
)  # fmt: skip
def test_no_inner_address_is_called(address: str) -> None:
    with pytest.raises(Forbidden):
        leading_to(address).request("GET", "https://innocent.example/")


def test_one_bad_address_among_good_ones_is_enough_to_refuse() -> None:
    with pytest.raises(Forbidden, match="private network"):
        leading_to(PUBLIC, "10.0.0.1").request("GET", "https://innocent.example/")


@pytest.mark.parametrize("address", [PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d822"])
def test_open_addresses_are_called(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    def refuse(self: socket.socket, target: tuple[str, int]) -> None:
        called.append(target[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(Unreachable, match="takes no connection"):
        leading_to(address).request("GET", "https://innocent.example/")
    assert called == [PUBLIC if address.startswith("64:") else address], "the checked address, and no other"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://user:pass@hooks.example/", "no user name"),
        ("https://hooks.example@127.0.0.1/", "no user name"),
        ("ftp://hooks.example/", "begins with https://"),
        ("file:///etc/passwd", "begins with https://"),
        ("gopher://hooks.example/", "begins with https://"),
        ("hooks.example", "begins with https://"),
        ("https://", "begins with https://"),
        ("https://2130706433/", "four decimal numbers"),
        ("https://0177.0.0.1/", "four decimal numbers"),
        ("https://0x7f000001/", "four decimal numbers"),
        ("https://0x7f.1/", "four decimal numbers"),
        ("https://127.1/", "four decimal numbers"),
        ("https://127.0.0.1./", "four decimal numbers"),
        ("https://[fe80::1%25eth0]/", "network card"),
        ("https://hooks.example:99999/", "not a web address"),
        ("https://hooks.example:0/", "begins with https://"),
        ("https://hooks.example/a b", "without spaces"),
        ("https://hooks.example/\r\nX-Evil: 1", "without spaces"),
        ("https://hooks.example\\@10.0.0.1/", "plain letters|user name"),
        ("https://ｈooks.example/", "plain letters"),
        ("https://hooks.example/#secret", "what follows #"),
        ("https://hooks.example/" + "x" * 2000, "2,000"),
        ("https://127.0.0.1/", "private network"),
        ("https://[::1]/", "private network"),
        ("https://[::ffff:7f00:1]/", "private network"),
        ("http://hooks.example/", "begins with https://"),
        (f"http://{PUBLIC}/", "begins with https://"),
    ],
)
def test_an_address_that_can_never_be_called_is_refused_before_it_is_kept(url: str, message: str) -> None:
    with pytest.raises(Forbidden, match=message):
        Outbound().check(url)
    with pytest.raises(Forbidden, match=message):
        leading_to("127.0.0.1" if "127" in url or ":" in url[8:] else PUBLIC).request("GET", url)


def test_a_name_that_means_something_else_a_moment_later_changes_nothing() -> None:
    answers: Iterator[Sequence[str]] = iter([["127.0.0.1"], ["10.0.0.1"], ["10.0.0.1"]])
    with serving() as server:
        outbound = Outbound(Allowed.read(["127.0.0.1/32"]), lookup=lambda _host, _port: next(answers))
        answer = outbound.request("GET", f"http://rebinding.example:{server.port}/x?y=1")
        assert answer.body == b"ok"
        assert server.asked[0].headers["host"] == f"rebinding.example:{server.port}", "it hears its own name"
        assert server.asked[0].path == "/x?y=1"
        with pytest.raises(Forbidden):  # by now the name leads inside
            outbound.request("GET", f"http://rebinding.example:{server.port}/")
    assert len(server.asked) == 1


def test_what_is_allowed_is_a_host_with_its_port_or_a_network() -> None:
    with serving() as server:
        named = Outbound(Allowed.read([f"git.internal:{server.port}"]), lookup=lambda _host, _port: ["127.0.0.1"])
        assert named.request("GET", f"http://git.internal:{server.port}/").is_good
        for url in (f"http://other.internal:{server.port}/", "http://git.internal:9/"):
            with pytest.raises(Forbidden):
                named.request("GET", url)
    for each in METADATA:
        everything = Outbound(Allowed.read(["0.0.0.0/0", "::/0"]), lookup=lambda _host, _port, found=each: [str(found)])  # type: ignore[misc]
        with pytest.raises(Forbidden):
            everything.request("GET", "http://metadata.example/")


def test_no_redirect_is_followed() -> None:
    with serving() as inner, serving() as server:
        server.answer = lambda _asked: (302, {"Location": f"{inner.url}/secret"}, b"")
        answer = on_loopback().request("GET", server.url)
    assert answer.status == 302
    assert inner.asked == []


def test_no_proxy_and_no_cookie_of_the_surroundings_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as proxy, serving() as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        server.answer = lambda _asked: (200, {"Set-Cookie": "a=b"}, b"")
        outbound = on_loopback()
        outbound.request("GET", server.url)
        outbound.request("GET", server.url)
    assert proxy.asked == []
    assert all("cookie" not in each.headers for each in server.asked)


def test_headers_of_ours_cannot_be_replaced() -> None:
    with serving() as server:
        on_loopback().request("POST", server.url, {"X-Own": "1", "Content-Type": "a/b"}, b"body")
    asked = server.asked[0]
    assert (asked.method, asked.body, asked.headers["x-own"]) == ("POST", b"body", "1")
    assert asked.headers["user-agent"].startswith("feedback-loop/")


def test_a_longer_answer_than_is_read_is_no_answer() -> None:
    with serving() as server:
        server.answer = lambda _asked: (200, {}, b"x" * LONGEST_ANSWER)
        assert len(on_loopback().request("GET", server.url).body) == LONGEST_ANSWER
        server.answer = lambda _asked: (200, {}, b"x" * (LONGEST_ANSWER + 1))
        with pytest.raises(Unreachable, match="broke the connection"):
            on_loopback().request("GET", server.url)


def test_packed_answers_are_not_unpacked() -> None:
    with serving() as server:
        server.answer = lambda _asked: (200, {"Content-Encoding": "gzip"}, b"\x1f\x8bnot really")
        assert on_loopback().request("GET", server.url).body == b"\x1f\x8bnot really"


@pytest.mark.parametrize("drips", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"])
def test_a_server_that_drips_does_not_hold_us(drips: bytes) -> None:
    done = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        taken, _ = listening.accept()
        with taken:
            taken.sendall(drips)
            while not done.wait(0.05):
                try:
                    taken.sendall(b"x")
                except OSError:
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    began = time.monotonic()
    try:
        with pytest.raises(Unreachable, match="did not answer in time"):
            on_loopback(total_seconds=0.5).request("GET", f"http://127.0.0.1:{listening.getsockname()[1]}/")
        assert time.monotonic() - began < 5
    finally:
        done.set()
        thread.join()
        listening.close()


def test_nobody_there_may_be_there_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unreachable, match="takes no connection"):
        on_loopback().request("GET", f"http://127.0.0.1:{port}/")

    def unknown(_host: str, _port: int) -> Sequence[str]:
        raise socket.gaierror

    with pytest.raises(Unreachable, match=r"hooks.example is not known"):
        Outbound(lookup=unknown).request("GET", "https://hooks.example/")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for hooks.example, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    return folder / "cert.pem", folder / "key.pem"


def test_the_certificate_is_asked_for_the_name_while_the_connection_goes_to_the_address(
    authority: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = authority
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    names: list[str | None] = []
    tls.sni_callback = lambda _socket, name, _context: names.append(name)  # type: ignore[assignment]
    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(Outbound, "trust", trusting)
    outbound = on_loopback(lookup=lambda _host, _port: ["127.0.0.1"])
    with serving(tls=tls) as server:
        answer = outbound.request("GET", f"https://hooks.example:{server.port}/")
        assert answer.body == b"ok"
        assert names == ["hooks.example"]
        with pytest.raises(Unreachable, match="no certificate that can be believed"):
            outbound.request("GET", f"https://other.example:{server.port}/")
        monkeypatch.setattr(Outbound, "trust", ssl.create_default_context())
        with pytest.raises(Unreachable, match="no certificate that can be believed"):
            outbound.request("GET", f"https://hooks.example:{server.port}/")


def test_the_setting_names_what_it_cannot_read(tmp_path: Path) -> None:
    read = {"DATA_FOLDER": str(tmp_path), "SECRET_KEY": "x"}
    settings = read_settings(read | {"OUTBOUND_ALLOW": "git.internal:443, 10.20.0.0/16"})
    allowed = Allowed.read(settings.outbound_allow)
    assert allowed.covers("git.internal", 443, ipaddress.ip_address("10.1.1.1"))
    assert allowed.covers("any", 1, ipaddress.ip_address("10.20.1.1"))
    assert not allowed.covers("git.internal", 80, ipaddress.ip_address("10.1.1.1"))
    for bad in ("git.internal", "10.0.0.1/8", "host:0", "host:http", "/8"):
        with pytest.raises(SettingError, match="OUTBOUND_ALLOW has"):
            read_settings(read | {"OUTBOUND_ALLOW": bad})


def test_what_is_asked_is_what_arrives() -> None:
    def mirrored(asked: Asked) -> Reply:
        return 201, {"X-Seen": asked.path}, asked.body

    with serving(Server(mirrored)) as server:
        answer = on_loopback().request("PATCH", f"{server.url}/a%20b?c=d", {}, "grüße".encode())
    assert (answer.status, answer.headers["x-seen"], answer.body.decode()) == (201, "/a%20b?c=d", "grüße")
