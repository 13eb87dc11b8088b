"""Sockets by ticket and by cookie: what they send, to whom, and how they end."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.test import Client
from django.utils import timezone

from accounts.models import AccessEpoch, AccessToken, Binding, User
from powerloom.asgi import application
from sessions import reader, tickets
from sessions.models import AgentSession, StreamTicket
from tests.recorded import DONE, ended_session, event, invoked, live_agent, observe, running_session, said
from tests.waiting import eventually
from tests.world import Api, World, actor_of, api_of, console_of, make_token

PATIENCE = 30
ORIGIN = (b"origin", b"http://testserver")
HOST = (b"host", b"testserver")


class Socket:
    """One socket as a client sees it."""

    def __init__(self, path: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        self.communicator = WebsocketCommunicator(application, path, headers=headers or [])

    async def frame(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(await self.communicator.receive_from(PATIENCE))
        return found

    async def frames(self, number: int) -> list[dict[str, Any]]:
        return [await self.frame() for _ in range(number)]

    async def closed(self) -> int:
        message = await self.communicator.receive_output(PATIENCE)
        assert message["type"] == "websocket.close", message
        return int(message["code"])

    async def quiet(self) -> bool:
        return bool(await self.communicator.receive_nothing(0.2))


@asynccontextmanager
async def opened(path: str, headers: list[tuple[bytes, bytes]] | None = None) -> AsyncIterator[Socket]:
    socket = Socket(path, headers)
    is_open, _ = await socket.communicator.connect(PATIENCE)
    assert is_open
    try:
        yield socket
    finally:
        await socket.communicator.disconnect()


async def done(function: Callable[..., Any], *args: Any) -> Any:
    return await sync_to_async(function)(*args)


def path_for(session: AgentSession, user: User, query: str = "") -> str:
    ticket = tickets.mint(session, actor_of(user))
    return f"{tickets.url_of(session.id, ticket)}{query}"


@pytest.fixture
def alice(committed_world: World) -> User:
    return committed_world.alice


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rights are asked at every look, not at every fifth."""
    assert reader.RIGHTS_SECONDS <= 5, "what is promised"
    monkeypatch.setattr(reader, "RIGHTS_SECONDS", reader.SWEEP_SECONDS)


@pytest.fixture
def session(committed_world: World, alice: User) -> AgentSession:
    return running_session(live_agent(committed_world), alice, "one", "two")


# --- By ticket


async def test_it_replays_from_the_first_event_follows_and_closes_at_the_end(
    session: AgentSession, alice: User
) -> None:
    async with opened(await done(path_for, session, alice)) as socket:
        frames = await socket.frames(4)
        assert [frame["type"] for frame in frames] == [
            "powerloom.session_created",
            "session.status_running",
            "agent.message",
            "agent.message",
        ]
        assert [frame["seq"] for frame in frames] == [1, 2, 3, 4]
        assert frames[2]["payload"]["content"][0]["text"] == "one"
        await done(observe, session, said("three"), event("session.status_idle", stop_reason=DONE))
        types = [frame["type"] for frame in await socket.frames(3)]
        assert types == ["agent.message", "session.status_idle", "powerloom.session_ended"]
        assert await socket.closed() == 1000


async def test_it_is_served_under_the_prefix_of_the_api_too(session: AgentSession, alice: User) -> None:
    async with opened(f"/api{await done(path_for, session, alice)}") as socket:
        assert (await socket.frame())["type"] == "powerloom.session_created"


async def test_it_goes_on_after_a_number(session: AgentSession, alice: User) -> None:
    async with opened(await done(path_for, session, alice, "&after_seq=3")) as socket:
        assert (await socket.frame())["seq"] == 4


async def test_a_session_that_had_ended_is_replayed_and_said_to_have_ended(committed_world: World, alice: User) -> None:
    session = await done(lambda: ended_session(live_agent(committed_world), alice, "hello"))
    async with opened(await done(path_for, session, alice)) as socket:
        types = [frame["type"] for frame in await socket.frames(6)]
        assert types[-3:] == ["session.status_idle", "powerloom.session_ended", "powerloom.session_already_ended"]
        assert await socket.closed() == 1000


@pytest.mark.parametrize("spoiled", ["missing", "unknown", "expired", "spent", "of another session"])
async def test_a_bad_ticket_is_accepted_told_why_and_closed(
    committed_world: World, session: AgentSession, alice: User, spoiled: str
) -> None:
    path = await done(path_for, session, alice)
    expected = {"missing": "ticket_missing", "expired": "ticket_expired", "spent": "ticket_spent"}
    if spoiled == "missing":
        path = path.partition("?")[0]
    elif spoiled == "unknown":
        path += "x"
    elif spoiled == "expired":
        await sync_to_async(StreamTicket.objects.update)(expires_at=timezone.now() - timedelta(seconds=1))
    elif spoiled == "spent":
        async with opened(path):
            pass
    else:
        other = await done(lambda: invoked(live_agent(committed_world, "other"), alice))
        path = path.replace(str(session.id), str(other.id))
    async with opened(path) as socket:
        frame = await socket.frame()
        assert (frame["type"], frame["payload"]["code"]) == (
            "powerloom.error",
            expected.get(spoiled, "ticket_unknown"),
        )
        assert await socket.closed() in {4401, 4410}


async def test_of_two_sockets_with_one_ticket_one_gets_in(session: AgentSession, alice: User) -> None:
    path = await done(path_for, session, alice)
    async with opened(path) as first, opened(path) as second:
        types = sorted([(await first.frame())["type"], (await second.frame())["type"]])
    assert types == ["powerloom.error", "powerloom.session_created"]


async def test_a_newer_ticket_takes_over(session: AgentSession, alice: User) -> None:
    async with opened(await done(path_for, session, alice)) as older:
        await older.frames(4)
        async with opened(await done(path_for, session, alice)) as newer:
            assert (await older.frame())["payload"]["code"] == "superseded"
            assert await older.closed() == 4409
            await newer.frames(4)
            await done(observe, session, said("three"))
            assert (await newer.frame())["payload"]["content"][0]["text"] == "three"


async def test_it_ignores_cookies(session: AgentSession, alice: User) -> None:
    path = (await done(path_for, session, alice)).partition("?")[0]
    async with opened(path, [await done(cookie_of, alice), ORIGIN, HOST]) as socket:
        assert (await socket.frame())["payload"]["code"] == "ticket_missing"


async def test_it_works_when_every_bell_is_lost(
    session: AgentSession, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(await done(path_for, session, alice)) as socket:
        await socket.frames(4)
        await done(observe, session, said("three"))  # this helper rings nothing
        assert (await socket.frame())["seq"] == 5


async def test_it_closes_when_the_right_is_lost(committed_world: World) -> None:
    world = committed_world
    session = await done(lambda: running_session(live_agent(world), world.alice, "secret"))
    async with opened(await done(path_for, session, world.eve)) as socket:
        await socket.frames(3)

        def revoke() -> None:
            Binding.objects.filter(principal_id=world.eve.id).update(ended_at=timezone.now())
            AccessEpoch.objects.update(number=99)

        await done(revoke)
        assert (await socket.frame())["payload"]["code"] == "right_lost"
        assert await socket.closed() == 4403


@pytest.mark.usefixtures("soon")
async def test_it_closes_when_the_token_behind_its_ticket_is_revoked(session: AgentSession, alice: User) -> None:
    bearer = await done(make_token, alice)
    ticket = (await done(lambda: Api(bearer).post(f"/sessions/{session.id}/tickets"))).json()
    async with opened(ticket["ws_url"]) as socket:
        await socket.frames(4)
        await sync_to_async(AccessToken.objects.update)(revoked_at=timezone.now())
        assert (await socket.frame())["payload"]["code"] == "signed_out"
        assert await socket.closed() == 4401


@pytest.mark.usefixtures("soon")
async def test_it_closes_when_the_password_behind_its_sign_in_changes(session: AgentSession, alice: User) -> None:
    ticket = (await done(lambda: api_of(alice).post(f"/sessions/{session.id}/tickets"))).json()
    async with opened(ticket["ws_url"]) as socket:
        await socket.frames(4)
        await done(give_another_password, alice)
        assert (await socket.frame())["payload"]["code"] == "signed_out"
        assert await socket.closed() == 4401


async def test_a_ticket_ends_with_the_password_behind_it_before_it_is_used(session: AgentSession, alice: User) -> None:
    path = await done(path_for, session, alice)
    await done(give_another_password, alice)
    async with opened(path) as socket:
        assert (await socket.frame())["payload"]["code"] == "signed_out"
        assert await socket.closed() == 4401


async def test_it_closes_when_the_session_is_deleted(session: AgentSession, alice: User) -> None:
    async with opened(await done(path_for, session, alice)) as socket:
        await socket.frames(4)
        await sync_to_async(AgentSession.objects.update)(deleted_at=timezone.now())
        assert (await socket.frame())["payload"]["code"] in {"session_deleted", "right_lost"}
        assert await socket.closed() in {4404, 4403}


async def test_a_long_session_is_replayed_whole_and_in_order(session: AgentSession, alice: User) -> None:
    await done(observe, session, *(said(str(number)) for number in range(3 * reader.WINDOW)))
    async with opened(await done(path_for, session, alice)) as socket:
        seqs = [frame["seq"] for frame in await socket.frames(4 + 3 * reader.WINDOW)]
    assert seqs == list(range(1, len(seqs) + 1))


async def test_an_unknown_address_opens_nothing() -> None:
    communicator = WebsocketCommunicator(application, "/sessions/none/stream")
    is_open, _ = await communicator.connect(PATIENCE)
    assert not is_open


# --- By cookie


def cookie_of(user: User) -> tuple[bytes, bytes]:
    return cookie_in(console_of(user))


def cookie_in(client: Client) -> tuple[bytes, bytes]:
    value = client.cookies[settings.SESSION_COOKIE_NAME].value
    return (b"cookie", f"{settings.SESSION_COOKIE_NAME}={value}".encode())


async def test_a_page_follows_the_session_of_its_address(session: AgentSession, alice: User) -> None:
    headers = [await done(cookie_of, alice), ORIGIN, HOST]
    async with opened(f"/ws/console/sessions/{session.id}?after_seq=3", headers) as socket:
        frame = await socket.frame()
        assert (frame["seq"], frame["session"]) == (4, str(session.id))


async def test_a_page_follows_what_it_asks_for_until_it_does_not(session: AgentSession, alice: User) -> None:
    async with opened("/ws/console/", [await done(cookie_of, alice), ORIGIN, HOST]) as socket:
        await socket.communicator.send_json_to({"follow": {"session": str(session.id), "after_seq": 2}})
        assert [frame["seq"] for frame in await socket.frames(2)] == [3, 4]
        await socket.communicator.send_json_to({"unfollow": {"session": str(session.id)}})

        async def let_go() -> bool:
            return not reader.reader()._followers

        await eventually(let_go, what="the page to follow nothing")
        await done(observe, session, said("three"))
        assert await socket.quiet()


async def test_a_page_stays_open_when_the_session_ends(session: AgentSession, alice: User) -> None:
    headers = [await done(cookie_of, alice), ORIGIN, HOST]
    async with opened(f"/ws/console/sessions/{session.id}?after_seq=4", headers) as socket:
        await done(observe, session, event("session.status_idle", stop_reason=DONE))
        assert [frame["type"] for frame in await socket.frames(2)][-1] == "powerloom.session_ended"


@pytest.mark.parametrize("origin", [b"https://evil.example", b"null", b"", b"http://testserver:81"])
async def test_another_origin_is_refused(session: AgentSession, alice: User, origin: bytes) -> None:
    headers = [await done(cookie_of, alice), (b"origin", origin), HOST]
    communicator = WebsocketCommunicator(application, "/ws/console/", headers=headers)
    is_open, _ = await communicator.connect(PATIENCE)
    assert not is_open


async def test_nobody_without_a_sign_in_is_served(session: AgentSession) -> None:
    async with opened(f"/ws/console/sessions/{session.id}", [ORIGIN, HOST]) as socket:
        assert (await socket.frame())["payload"]["code"] == "signed_out"
        assert await socket.closed() == 4401


def sign_out(client: Client, user: User) -> None:
    assert client.post("/sign-out").status_code == 302


def give_another_password(*of: Any) -> None:
    user = of[-1]
    user.set_password("quite another horse")
    user.save()


def disable(client: Client, user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("end", [sign_out, give_another_password, disable])
async def test_a_page_hears_nothing_more_once_its_sign_in_is_over(session: AgentSession, alice: User, end: Any) -> None:
    client = await done(console_of, alice)
    headers = [await done(cookie_in, client), ORIGIN, HOST]
    async with opened(f"/ws/console/sessions/{session.id}?after_seq=4", headers) as socket:
        await done(observe, session, said("three"))
        assert (await socket.frame())["seq"] == 5
        await done(end, client, alice)
        assert (await socket.frame())["payload"]["code"] == "signed_out"
        assert await socket.closed() == 4401


async def test_a_page_that_signed_out_follows_nothing_new(session: AgentSession, alice: User) -> None:
    client = await done(console_of, alice)
    async with opened("/ws/console/", [await done(cookie_in, client), ORIGIN, HOST]) as socket:
        await done(sign_out, client, alice)
        await socket.communicator.send_json_to({"follow": {"session": str(session.id)}})
        assert (await socket.frame())["payload"]["code"] == "signed_out"
        assert await socket.closed() == 4401


async def test_a_sign_out_elsewhere_leaves_this_page_alone(session: AgentSession, alice: User) -> None:
    other = await done(console_of, alice)
    async with opened("/ws/console/", [await done(cookie_of, alice), ORIGIN, HOST]) as socket:
        await done(sign_out, other, alice)
        await socket.communicator.send_json_to({"follow": {"session": str(session.id), "after_seq": 3}})
        assert (await socket.frame())["seq"] == 4


async def test_a_page_sees_no_session_that_its_user_may_not(committed_world: World, session: AgentSession) -> None:
    headers = [await done(cookie_of, committed_world.mallory), ORIGIN, HOST]
    async with opened(f"/ws/console/sessions/{session.id}", headers) as socket:
        assert (await socket.frame())["payload"]["code"] == "not_found"
        assert await socket.closed() == 4404


@pytest.mark.parametrize("text", ["[]", "{", '{"follow": 1}', '{"follow": {"session": "x"}}', "null"])
async def test_nonsense_closes_the_socket(session: AgentSession, alice: User, text: str) -> None:
    async with opened("/ws/console/", [await done(cookie_of, alice), ORIGIN, HOST]) as socket:
        await socket.communicator.send_to(text_data=text)
        assert (await socket.frame())["type"] == "powerloom.error"
        assert await socket.closed() in {4400, 4404}


async def test_many_sockets_cost_one_query_a_round(session: AgentSession, alice: User) -> None:
    headers = [await done(cookie_of, alice), ORIGIN, HOST]
    sockets = [Socket(f"/ws/console/sessions/{session.id}?after_seq=4", headers) for _ in range(10)]
    for socket in sockets:
        await socket.communicator.connect(PATIENCE)

    async def caught_up() -> bool:  # a socket is accepted before it is served
        here = reader.reader()
        served = sum(len(followers) for followers in here._followers.values())
        return served == len(sockets) and not here._behind and not here._asked

    await eventually(caught_up, what="all sockets")
    rounds = []
    read = reader.next_lines

    def counted(wanted: Any) -> Any:
        rounds.append(len(list(wanted)))
        return read(wanted)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "next_lines", counted)
        await done(observe, session, said("three"))
        await asyncio.gather(*(socket.frame() for socket in sockets))
    assert len(rounds) <= 2  # a sweep may come between the event and its news
    for socket in sockets:
        await socket.communicator.disconnect()
