"""The one way out to an address that a user gave.

A name is looked up once for each connection, every address it has is judged, and the connection goes to an address
that was judged: what a second look-up would answer never matters. TLS still verifies the name. No redirect is followed,
no proxy of the environment is asked, and bytes and time are capped.

    public                          open
    private (RFC 1918, ULA, CGNAT)  open to hosts that the organization's rules name
    loopback                        open in development mode
    everything else                 never: link-local and cloud metadata, multicast, unspecified, reserved, tunnels
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from socket import SOCK_STREAM, gaierror
from typing import Any  # socket options, passed on as they come

import httpcore2
import httpx2

from powerloom.kernel.tls import trust

MAX_BYTES = 4 * 1024 * 1024
SCHEMES = ("http", "https")

Client = httpx2.AsyncClient
Timeout = httpx2.TimeoutException
Address = IPv4Address | IPv6Address
Lookup = Callable[[str, int], Awaitable[list[str]]]
"""Answers every address of a name. Raises `OSError`."""

FAILURES: tuple[type[Exception], ...] = (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, TimeoutError)
"""What a request may raise besides `Blocked`: what was asked for is not there, not well, or slow."""

_PRIVATE = [
    ipaddress.ip_network(block)
    for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
]
# Where clouds answer machines about themselves; some lie inside blocks that are otherwise public or private.
_METADATA = [
    ipaddress.ip_network(block)
    for block in (
        "169.254.0.0/16",
        "fe80::/10",
        "fd00:ec2::/32",
        "fd20:ce::/32",
        "100.100.100.200/32",
        "168.63.129.16/32",
        "192.0.0.0/24",
    )
]
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_TUNNELS = [ipaddress.ip_network(block) for block in ("2001::/23", "2002::/16", "3fff::/20")]


class Blocked(Exception):
    """The address, or what it answered, is beyond what is let through. `words` say why, for whoever asked."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


@dataclass(frozen=True)
class Way:
    """How far out the calls of one organization may go: which hosts may have private addresses (`tools.acme.internal`,
    `*.acme.internal`), and whether this machine itself may be reached.
    """

    private_hosts: tuple[str, ...] = ()
    loopback: bool = False

    def opens(self, host: str) -> bool:
        """Tell whether a rule names this host. `*.` stands for everything below, at any depth, not for the name
        itself.
        """
        host = host.rstrip(".").lower()
        return any(
            host.endswith(pattern[1:]) and host != pattern[2:] if pattern.startswith("*.") else host == pattern
            for pattern in self.private_hosts
        )


async def look_up(host: str, port: int) -> list[str]:
    """Ask the system for the addresses of a name, best first. Raises `OSError`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=SOCK_STREAM)
    return list(dict.fromkeys(str(where[0]) for *_, where in found))


async def resolve(host: str, port: int, way: Way, *, lookup: Lookup = look_up) -> str:
    """Return an address of the host that may be connected to. Raises `Blocked`, also when the host is not known."""
    return (await _addresses(host, port, way, lookup))[0]


def judge(address: str, host: str, way: Way) -> str:
    """Say why this address of this host may not be reached, or "" when it may."""
    try:
        found = _inner(ipaddress.ip_address(address))
    except ValueError:
        return f"{host} has an address that is none"
    shown = host if host == address else f"{host} ({address})"
    if found.is_loopback:
        return "" if way.loopback else f"{shown} is this machine itself, which calls may not reach"
    if any(found in block for block in _METADATA):
        return f"{shown} is a link-local or metadata address, which calls may never reach"
    if any(found in block for block in _PRIVATE):
        if way.opens(host):
            return ""
        return f"{shown} is a private address; an egress rule of your organization that names the host opens it"
    return "" if _is_public(found) else f"{shown} is not a public address, and no rule opens it"


def fault_of_url(url: str) -> str:
    """Say in words what is wrong with the form of a URL that a user gave, or "" when it may be tried."""
    if any(character.isspace() or not character.isprintable() for character in url):
        return "a URL holds no spaces and no control characters"
    try:
        found = httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError):
        return "this is not a URL"
    faults = {
        "a URL begins with https:// or http:// and names a host": found.scheme not in SCHEMES or not found.host,
        "a port is a number from 1 to 65535": found.port is not None and not 0 < found.port < 65536,
        "a URL holds no user name and no password; give a token as a credential": bool(found.userinfo),
        "a URL of a server has no part behind #": bool(found.fragment),
    }
    return next((words for words, is_so in faults.items() if is_so), "")


def client(
    way: Way,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: float = 10.0,
    max_bytes: int = MAX_BYTES,
    lookup: Lookup = look_up,
) -> Client:
    """Return a client that goes no other way than this one.

    `timeout` is in seconds and for a whole request, its body included; `max_bytes` is for a body. Requests raise
    `Blocked`, or one of `FAILURES`.
    """
    return httpx2.AsyncClient(
        transport=_Transport(way, timeout, max_bytes, lookup),
        # What is not compressed cannot swell.
        headers={"Accept-Encoding": "identity", **(headers or {})},
        timeout=timeout,
        trust_env=False,
        follow_redirects=False,
    )


class _Transport(httpx2.AsyncHTTPTransport):
    """Judges a request before it is sent and an answer before it is read."""

    def __init__(self, way: Way, seconds: float, max_bytes: int, lookup: Lookup) -> None:
        super().__init__(verify=trust(), trust_env=False)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=trust(), max_connections=20, keepalive_expiry=5.0, network_backend=_Network(way, lookup)
        )
        self._seconds = seconds
        self._max_bytes = max_bytes

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if fault := fault_of_url(str(request.url)):
            raise Blocked(fault)
        deadline = asyncio.get_running_loop().time() + self._seconds
        async with _until(deadline):
            response = await super().handle_async_request(request)
        try:
            self._judge(response)
        except Blocked:
            await response.aclose()
            raise
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Body(response.stream, deadline, self._max_bytes)
        return response

    def _judge(self, response: httpx2.Response) -> None:
        if 300 <= response.status_code < 400 and "location" in response.headers:
            raise Blocked(
                f"it answered with a redirect ({response.status_code}), and redirects are not followed; "
                "give the address that it leads to"
            )
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise Blocked("it answered in a compressed form that was not asked for")
        length = response.headers.get("content-length", "")
        if length.isdecimal() and len(length) < 20 and int(length) > self._max_bytes:
            raise Blocked(_too_much(self._max_bytes))


class _Body(httpx2.AsyncByteStream):
    """A body that ends at the deadline and at the most bytes there may be."""

    def __init__(self, inner: httpx2.AsyncByteStream, deadline: float, most: int) -> None:
        self._inner = inner
        self._deadline = deadline
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read, parts = 0, aiter(self._inner)
        while True:
            async with _until(self._deadline):
                part = await anext(parts, None)
            if part is None:
                return
            read += len(part)
            if read > self._most:
                raise Blocked(_too_much(self._most))
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Network(httpcore2.AsyncNetworkBackend):
    """Opens connections, each to an address that was judged for this very connection."""

    def __init__(self, way: Way, lookup: Lookup) -> None:
        self._way = way
        self._lookup = lookup
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        *others, last = await _addresses(host, port, self._way, self._lookup)
        for address in others:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore2.ConnectError:
                continue  # the host has further addresses, judged as well
        return await self._inner.connect_tcp(last, port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        raise Blocked("calls go to network addresses only")


@asynccontextmanager
async def _until(deadline: float) -> AsyncIterator[None]:
    """End the block at the deadline with the timeout error of the client library."""
    try:
        async with asyncio.timeout_at(deadline):
            yield
    except TimeoutError as late:
        raise httpx2.ReadTimeout("the whole request took too long") from late


async def _addresses(host: str, port: int, way: Way, lookup: Lookup) -> list[str]:
    try:
        found = await lookup(host, port)
    except (gaierror, UnicodeError) as error:
        raise Blocked(f"{host} is not known: its name cannot be looked up") from error
    if not found:
        raise Blocked(f"{host} is not known: it has no address")
    for address in found:  # one bad address condemns the name: which one is taken is not ours to say
        if fault := judge(address, host, way):
            raise Blocked(fault)
    return found


def _inner(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one only wraps, so that both are judged alike."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address):
        return address in _GLOBAL_UNICAST and address.is_global and not any(address in block for block in _TUNNELS)
    return address.is_global and not address.is_multicast and not address.is_reserved


def _too_much(most: int) -> str:
    return f"it answered more than {most} bytes"
