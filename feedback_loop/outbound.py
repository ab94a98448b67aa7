"""The one way out: HTTP requests to addresses that people typed. None of them reaches what lies behind our firewall.

A name is resolved once, every address it has is checked, and the connection goes to a checked one: what the name means
a moment later makes no difference. No redirect is followed, no proxy asked, no cookie kept; the answer is read to a
limit, and the whole takes no longer than it may.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from http.client import HTTPException
from importlib.metadata import version
from urllib.parse import SplitResult, urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from feedback_loop.settings import Settings

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 15.0
LONGEST_ANSWER = 1024 * 1024  # bytes
LONGEST_URL = 2000
ADDRESSES_TRIED = 3
AGENT = f"feedback-loop/{version('feedback-loop')}"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Sequence[str]]

# Where machines of cloud providers find their own credentials: never, whatever is allowed.
METADATA = frozenset(
    ipaddress.ip_address(each) for each in ("169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254")
)
# What `is_global` lets through in one Python or another, and what carries an address inside an address.
INNER = tuple(
    ipaddress.ip_network(each)
    for each in (
        "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4",
        "::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16",
        "fec0::/10",
    )
)  # fmt: skip
NAT64 = ipaddress.ip_network("64:ff9b::/96")
# As the system's resolver reads them, 2130706433, 0177.1 and 0x7f000001 are numbers of hosts; as people do, nothing.
NUMERIC = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+))*\.?", re.IGNORECASE)
# What may break on a connection that a server, or our own watch, closes in the middle of it.
BROKEN = (OSError, HTTPError, HTTPException, ValueError, AttributeError)


class NotSent(Exception):
    """A request got no answer; the message says why."""


class Forbidden(NotSent):
    """This address may not be called; repeating it is of no use."""


class Unreachable(NotSent):
    """Nobody answered; later somebody may."""


@dataclass(frozen=True)
class Answer:
    """What a server answered.

    Attributes:
        headers: By their names in small letters.
        body: At most `LONGEST_ANSWER` bytes.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_good(self) -> bool:
        """Whether the server says that it did what was asked."""
        return 200 <= self.status < 300


@dataclass(frozen=True)
class Allowed:
    """What may be called although it is not on the open internet, and without https.

    Attributes:
        hosts: Pairs of a name and a port.
        networks: Of addresses.
    """

    hosts: frozenset[tuple[str, int]] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def read(cls, given: Iterable[str]) -> Allowed:
        """Read a list of `host:port` and networks such as `10.20.0.0/16`, as the settings have checked them."""
        hosts, networks = set(), []
        for each in given:
            if "/" in each:
                networks.append(ipaddress.ip_network(each))
            else:
                name, _, port = each.rpartition(":")
                hosts.add((name.lower().strip("[]"), int(port)))
        return cls(frozenset(hosts), tuple(networks))

    def covers(self, host: str, port: int, address: Address) -> bool:
        """Whether an address of a host may be called whatever it is."""
        return (host, port) in self.hosts or any(address in network for network in self.networks)


def resolve(host: str, port: int) -> Sequence[str]:
    """All addresses of a name, as the system knows them.

    Raises:
        OSError: It has none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def plain(text: str) -> Address:
    """An address; where it only wraps an IPv4 one, that one.

    Raises:
        ValueError: It is none, or belongs to one network card.
    """
    if "%" in text:
        raise ValueError(text)
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in NAT64:  # the network that translates hands it on to this one
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_open(address: Address) -> bool:
    """Whether an address is one of the open internet, for everybody."""
    kept_back = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_loopback
    inner = any(address in network for network in INNER if network.version == address.version)
    return address.is_global and not kept_back and not address.is_link_local and not inner


def checked_url(url: str) -> SplitResult:
    """The parts of an address that can be called.

    Raises:
        Forbidden: It cannot; says why.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Forbidden("This is not a web address.") from None
    host = parts.hostname or ""
    if parts.scheme not in ("https", "http") or not host or port == 0:
        raise Forbidden("Give a web address that begins with https:// and names a host.")
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise Forbidden("Give a web address in plain letters, without spaces, of at most 2,000 characters.")
    if "@" in parts.netloc:
        raise Forbidden("A web address may hold no user name or password.")
    if parts.fragment:
        raise Forbidden("Leave out what follows #: no server ever sees it.")
    if "%" in host:
        raise Forbidden("An address that belongs to one network card cannot be called.")
    if NUMERIC.fullmatch(host) and not is_dotted(host):
        raise Forbidden("Write an IPv4 address as four decimal numbers.")
    return parts


def is_dotted(host: str) -> bool:
    """Whether a host is an IPv4 address as people write it."""
    try:
        return str(ipaddress.IPv4Address(host)) == host
    except ValueError:
        return False


def checked_addresses(parts: SplitResult, allowed: Allowed, lookup: Resolve) -> list[Address]:
    """The addresses behind a web address, each of which may be called.

    Raises:
        Forbidden: One of them may not.
        Unreachable: There is none.
    """
    host = parts.hostname or ""
    port = port_of(parts)
    try:
        given = lookup(host, port)
    except (OSError, UnicodeError):
        raise Unreachable(f"The name {host} is not known.") from None
    if not given:
        raise Unreachable(f"The name {host} is not known.")
    found = []
    for text in given:
        try:
            address = plain(text)
        except ValueError:
            raise Forbidden(f"{host} leads to an address that cannot be called.") from None
        is_allowed = allowed.covers(host, port, address)
        if address in METADATA or not (is_allowed or is_open(address)):
            raise Forbidden(f"{host} leads into a private network. OUTBOUND_ALLOW names what may be called there.")
        if parts.scheme == "http" and not is_allowed:
            raise Forbidden("Give an address that begins with https://. OUTBOUND_ALLOW names what may do without.")
        found.append(address)
    return found[:ADDRESSES_TRIED]


def port_of(parts: SplitResult) -> int:
    """The port that a web address means."""
    return parts.port or (443 if parts.scheme == "https" else 80)


@dataclass(frozen=True)
class Outbound:
    """Makes requests.

    Attributes:
        allowed: Beside the open internet.
        lookup: Finds addresses.
        connect_seconds: Until a connection stands.
        total_seconds: Until all of the answer is there.
    """

    allowed: Allowed = field(default_factory=Allowed)
    lookup: Resolve = resolve
    connect_seconds: float = CONNECT_SECONDS
    total_seconds: float = TOTAL_SECONDS

    @cached_property
    def trust(self) -> ssl.SSLContext:
        """Whose certificates are believed: whom the system believes."""
        return ssl.create_default_context()

    def check(self, url: str) -> None:
        """Refuse an address that can never be called, before it is kept. Resolves nothing.

        Raises:
            Forbidden: Says why.
        """
        parts = checked_url(url)
        host, port = parts.hostname or "", port_of(parts)
        try:
            address = plain(host)
        except ValueError:
            if parts.scheme == "http" and (host, port) not in self.allowed.hosts and not self.allowed.networks:
                raise Forbidden("Give an address that begins with https://.") from None
            return
        checked_addresses(parts, self.allowed, lambda _host, _port: [str(address)])

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """Make one request.

        Raises:
            Forbidden: The address may not be called.
            Unreachable: Nobody answered in time, or what answered is no web server.
        """
        deadline = time.monotonic() + self.total_seconds
        parts = checked_url(url)
        connection = self._connected(parts, checked_addresses(parts, self.allowed, self.lookup), deadline)
        raw = connection.sock
        # The connection's own timeout counts anew with each byte; this one counts once.
        watch = threading.Timer(max(0.0, deadline - time.monotonic()), shut, [raw])
        watch.daemon = True
        watch.start()
        try:
            answer = self._exchange(connection, method, parts, headers or {}, body)
            if time.monotonic() >= deadline:
                raise TimeoutError  # what was cut off by the watch can look like a short answer
            return answer
        except BROKEN as error:
            late = time.monotonic() >= deadline or isinstance(error, TimeoutError)
            why = "did not answer in time" if late else "broke the connection"
            raise Unreachable(f"{parts.hostname} {why}.") from error
        finally:
            watch.cancel()
            connection.close()

    def _connected(self, parts: SplitResult, addresses: Sequence[Address], deadline: float) -> HTTPConnection:
        """A connection to the first address that takes one."""
        host, port = parts.hostname or "", port_of(parts)
        why = ""
        for address in addresses:
            seconds = min(self.connect_seconds, deadline - time.monotonic())
            if seconds <= 0:
                break
            connection: HTTPConnection
            if parts.scheme == "https":
                # To the checked address, while certificate and SNI are asked for the name.
                connection = HTTPSConnection(
                    str(address), port, timeout=seconds, server_hostname=host, ssl_context=self.trust
                )
            else:
                connection = HTTPConnection(str(address), port, timeout=seconds)
            try:
                connection.connect()
            except ssl.SSLError as error:
                connection.close()
                why = f"{host} shows no certificate that can be believed ({error.reason or 'TLS failed'})."
            except BROKEN as error:
                connection.close()
                why = f"{host} takes no connection ({type(error).__name__})."
            else:
                return connection
        raise Unreachable(why or f"{host} did not answer in time.")

    def _exchange(
        self,
        connection: HTTPConnection,
        method: str,
        parts: SplitResult,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> Answer:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        own = {"Host": parts.netloc.lower(), "User-Agent": AGENT, "Accept-Encoding": "identity", "Connection": "close"}
        if connection.sock is not None:
            connection.sock.settimeout(self.total_seconds)
        connection.request(method, target, body=body, headers={**headers, **own}, preload_content=False)
        response = connection.getresponse()
        read = bytearray()
        while len(read) < LONGEST_ANSWER:
            piece = response.read(min(65536, LONGEST_ANSWER - len(read)), decode_content=False)
            if not piece:
                break
            read += piece
        else:
            if response.read(1, decode_content=False):
                raise ValueError("too long")
        found = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, found, bytes(read))


def outbound(settings: Settings) -> Outbound:
    """What makes the requests of an installation."""
    return Outbound(Allowed.read(settings.outbound_allow))


def shut(raw: socket.socket | None) -> None:
    """End a connection under whoever reads from it: below TLS, which is not for two threads."""
    if raw is not None:
        with suppress(OSError):
            socket.socket.shutdown(raw, socket.SHUT_RDWR)
