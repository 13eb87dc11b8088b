import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from socket import gaierror, inet_aton, inet_ntoa

import httpx2
import pytest

from powerloom.web import egress
from powerloom.web.egress import Blocked, Way, client, fault_of_url, judge, resolve

HI = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
HOME = Way(loopback=True)
INSIDE = Way(private_hosts=("*.acme.internal", "10.9.9.9"))
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(*parts: bytes, then: asyncio.Event | None = None) -> AsyncIterator[int]:
    """A server on loopback that answers every connection with these bytes, and ends it once `then` is set."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
        await writer.drain()
        if then:
            await then.wait()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def names(*answers: list[str]) -> egress.Lookup:
    """A resolver that gives these answers one after another, and the last one for ever."""
    left = list(answers)

    async def look_up(host: str, port: int) -> list[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return look_up


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::808:808"])
def test_public_addresses_are_open_to_everybody(address: str) -> None:
    assert judge(address, "tools.example.com", Way()) == ""


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fc00::1", "fdff::1"),
        *("::ffff:10.0.0.1", "64:ff9b::a00:1"),
    ],
)
def test_private_addresses_are_open_only_to_hosts_that_a_rule_names(address: str) -> None:
    assert "private" in judge(address, "tools.acme.internal", Way())
    assert "private" in judge(address, "tools.example.com", INSIDE)
    assert judge(address, "tools.acme.internal", INSIDE) == ""
    assert judge(address, "Deep.Tools.ACME.internal.", INSIDE) == ""


@pytest.mark.parametrize("host", ["acme.internal", "evilacme.internal", "acme.internal.example.com", "10.9.9.8"])
def test_a_rule_names_what_lies_below_and_nothing_that_looks_like_it(host: str) -> None:
    assert not INSIDE.opens(host)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"])
def test_this_machine_is_open_in_development_mode_only(address: str) -> None:
    assert judge(address, "tools.acme.internal", HOME) == ""
    assert "this machine" in judge(address, "tools.acme.internal", INSIDE)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fe80::1",
            "fe80::1%eth0",
            "fd00:ec2::254",
        ),
        *("fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
        *("0.0.0.0", "::", "0.1.2.3", "224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1"),  # noqa: S104  a value, nothing binds to it
        *("198.18.0.1", "192.0.2.1", "2001:db8::1", "2001::1", "2002:7f00:1::", "2002:0a00:1::", "::127.0.0.1"),
        *("64:ff9b:1::7f00:1", "fec0::1", "100::1", "5f00::1", "3fff::1", "not an address", ""),
    ],
)
def test_everything_else_is_open_to_nobody(address: str) -> None:
    everything = Way(private_hosts=("tools.acme.internal",), loopback=True)
    assert judge(address, "tools.acme.internal", everything)


@pytest.mark.parametrize(
    "url",
    [
        *("", "tools.example.com", "ftp://tools.example.com", "file:///etc/passwd", "https://", "https:///mcp"),
        *(
            "https://me@tools.example.com/mcp",
            "https://me:secret@tools.example.com/mcp",
            "https://a b/",
            "http://a\n.b",
        ),
        *(
            "https://tools.example.com/mcp#part",
            "https://[::1",
            "https://tools.example.com:99999/",
            "http://0177.0.0.1/",
        ),
    ],
)
def test_a_url_that_is_none_of_ours_is_told_in_words(url: str) -> None:
    assert fault_of_url(url)
    assert "secret" not in fault_of_url(url)


@pytest.mark.parametrize("url", ["https://tools.example.com/mcp", "http://localhost:8000/mcp?x=1", "http://[::1]/mcp"])
def test_a_plain_url_is_fine(url: str) -> None:
    assert fault_of_url(url) == ""


async def test_a_checked_address_is_what_resolving_answers() -> None:
    assert await resolve("tools.example.com", 443, Way(), lookup=names(["1.1.1.1"])) == "1.1.1.1"


async def test_one_bad_address_condemns_a_name() -> None:
    with pytest.raises(Blocked, match="this machine"):
        await resolve("tools.example.com", 443, Way(), lookup=names(["1.1.1.1", "127.0.0.1"]))


async def test_a_name_that_nobody_knows_is_told_in_words() -> None:
    async def fails(host: str, port: int) -> list[str]:
        raise gaierror

    for lookup in (fails, names([])):
        with pytest.raises(Blocked, match="is not known"):
            await resolve("nowhere.example", 443, Way(), lookup=lookup)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "localhost"])
async def test_other_spellings_of_this_machine_do_not_reach_it(host: str) -> None:
    spelled = "127.0.0.1" if host == "localhost" else inet_ntoa(inet_aton(host))  # as the system reads it
    async with answering(HI) as port, client(INSIDE, lookup=names([spelled])) as http:
        with pytest.raises(Blocked, match="this machine"):
            await http.get(f"http://{host}:{port}/")


async def test_a_resolver_that_answers_public_first_and_this_machine_next_gains_nothing() -> None:
    lookup = names(["1.1.1.1"], ["127.0.0.1"])
    assert await resolve("rebind.example", 80, Way(), lookup=lookup) == "1.1.1.1"
    async with (
        answering(HI) as port,
        client(Way(), lookup=lookup) as http,
    ):
        with pytest.raises(Blocked, match="this machine"):
            await http.get(f"http://rebind.example:{port}/")


async def test_a_connection_goes_to_the_address_that_was_judged_whatever_the_system_knows() -> None:
    lookup = names(["127.0.0.1"], ["169.254.169.254"])
    async with (
        answering(HI) as port,
        client(HOME, lookup=lookup) as http,
    ):
        response = await http.get(f"http://name.that.nobody.knows:{port}/")
        assert response.text == "hi"


async def test_the_next_address_is_tried_when_nobody_is_at_the_first() -> None:
    async with answering(HI) as port, client(HOME, lookup=names(["127.0.0.2", "127.0.0.1"])) as http:
        assert (await http.get(f"http://two.example:{port}/")).text == "hi"


async def test_a_redirect_is_not_followed_not_even_by_who_would() -> None:
    to = b"HTTP/1.1 307 T\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
    async with answering(to) as port, client(HOME) as http:
        with pytest.raises(Blocked, match="redirect"):
            await http.get(f"http://localhost:{port}/", follow_redirects=True)


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with answering(HI) as port, client(HOME) as http:
        assert (await http.get(f"http://localhost:{port}/")).text == "hi"


@pytest.mark.parametrize("head", [b"content-length: 300000\r\n", b""])
async def test_too_many_bytes_end_the_answer_announced_or_not(head: bytes) -> None:
    long = (b"HTTP/1.1 200 OK\r\n" + head + b"\r\n", b"x" * 300_000)
    async with answering(*long) as port, client(HOME, max_bytes=100_000) as http:
        with pytest.raises(Blocked, match="more than 100000 bytes"):
            await http.get(f"http://localhost:{port}/")


async def test_a_compressed_answer_is_not_unpacked() -> None:
    packed = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nhi"
    async with answering(packed) as port, client(HOME) as http:
        with pytest.raises(Blocked, match="compressed"):
            await http.get(f"http://localhost:{port}/")


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nslow"])
async def test_whoever_answers_slowly_is_left(sent: bytes) -> None:
    then = asyncio.Event()
    async with answering(sent, then=then) as port, client(HOME, timeout=0.2) as http:
        with pytest.raises(httpx2.TimeoutException):
            await http.get(f"http://localhost:{port}/")
        then.set()


async def test_only_http_goes_out() -> None:
    async with client(HOME) as http:
        with pytest.raises(Blocked, match="begins with https"):
            await http.get("ftp://localhost/")
        with pytest.raises(Blocked, match="no user name"):
            await http.get("http://me:secret@localhost/")
