"""Sockets that follow sessions. Async, and without a database query of their own while they are open: the reader
serves them.

`TicketConsumer` at `sessions/<id>/stream?ticket=…[&after_seq=n]` is for API clients. It knows tickets only, no
cookie. Whatever happens, it is accepted first and told in a frame, because a client can read a frame and cannot read
a refused handshake. It sends every event from the first (or after `after_seq`), then `powerloom.session_ended` as
stored, or, when the session was at rest already, `powerloom.session_already_ended`, and closes. One client a session:
a newer ticket takes over.

`ConsoleConsumer` at `ws/console/sessions/<id>?after_seq=n` and `ws/console/` is for our own pages, by the cookie and
the same origin alone. It follows the session of its URL, and whatever it is asked to: `{"follow": {"session": id,
"after_seq": n}}`, `{"unfollow": {"session": id}}`. Its frames carry `session` too. It stays open when a session ends,
which may go on. With `?changes=yes` it also tells the kinds of things that changed in the organization
(`powerloom.changed`), so that a page asks again for what it shows of them.

| close code | why |
|---|---|
| 1000 | all was sent, the session is at rest |
| 4400 | the request makes no sense |
| 4401 | no ticket, or an unknown one; not signed in, or not any more |
| 4403 | the right to see the session was lost |
| 4404 | the session is deleted, or out of sight |
| 4409 | a newer ticket took over |
| 4410 | the ticket is expired or spent |
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any  # scopes and messages
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer

from accounts.tokens import actor_of_user
from powerloom.kernel.refs import Actor
from sessions import admission, tickets
from sessions.admission import Viewer
from sessions.bells import ring_readers_soon
from sessions.frames import ERROR, SESSION_ALREADY_ENDED, as_text
from sessions.queries import still_visible
from sessions.reader import Follower, Line, State, reader
from sessions.watching import Watcher, watch

MOST_FOLLOWED = 20
MOST_TEXT = 4096
MOST_DIGITS = 9
DONE, SENSELESS, UNKNOWN, LOST, GONE, SUPERSEDED, STALE = 1000, 4400, 4401, 4403, 4404, 4409, 4410
CODES = {
    "ticket_missing": UNKNOWN,
    "ticket_unknown": UNKNOWN,
    "ticket_expired": STALE,
    "ticket_spent": STALE,
    "right_lost": LOST,
    "signed_out": UNKNOWN,
}


class Refused(Exception):
    """The socket is not served: close code, name and words."""

    def __init__(self, close_code: int, code: str, words: str) -> None:
        super().__init__(code)
        self.close_code = close_code
        self.code = code
        self.words = words


class Socket(AsyncWebsocketConsumer):
    """What both have in common."""

    channel_layer_alias = ""  # bells are heard once a process, by the reader

    async def refuse(self, close_code: int, code: str, words: str) -> None:
        """Say why, then close."""
        await self.send(as_text(ERROR, {"code": code, "message": words}, 0))
        await self.close(close_code)

    def asked(self) -> dict[str, str]:
        """Return the URL's query, first values only."""
        query = parse_qs(self.scope["query_string"].decode("latin-1"))
        return {name: values[0] for name, values in query.items()}


# --- By ticket


class TicketConsumer(Socket):
    """One session for one API client."""

    follower: TicketFollower | None = None

    async def connect(self) -> None:
        await self.accept()
        try:
            self.follower = await self._admitted()
        except Refused as refusal:
            await self.refuse(refusal.close_code, refusal.code, refusal.words)
            return
        # The older socket of this session learns from the row that it is not the newest any more.
        await ring_readers_soon(changed=[self.follower.session_id])
        reader().add(self.follower)

    async def _admitted(self) -> TicketFollower:
        session_id: UUID = self.scope["url_route"]["kwargs"]["session_id"]
        asked = self.asked()
        after_seq = number(asked.get("after_seq", "0"))
        try:
            viewer = await off_loop(admission.admit, asked.get("ticket", ""), session_id)
        except tickets.Refused as refusal:
            raise Refused(CODES[refusal.code], refusal.code, refusal.words) from refusal
        return TicketFollower(self, session_id, viewer, after_seq)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Clients say nothing here; what they say is dropped."""

    async def disconnect(self, code: int) -> None:
        if self.follower is not None:
            reader().remove(self.follower)


class TicketFollower(Follower):
    """Sends frames until the session is at rest, somebody else takes over, or the right is lost."""

    def __init__(self, socket: TicketConsumer, session_id: UUID, viewer: Viewer, after_seq: int) -> None:
        super().__init__(session_id, actor=viewer.actor, cursor=after_seq)
        self._socket = socket
        self._viewer = viewer

    async def take(self, lines: Sequence[Line]) -> None:
        for line in lines:
            await self._socket.send(as_text(line.type, line.payload, line.seq))

    async def hear(self, state: State | None) -> None:
        if state is None:
            await self._leave(GONE, "session_deleted", "This session was deleted.")
        elif state.viewer_epoch != self._viewer.epoch:
            await self._leave(SUPERSEDED, "superseded", "A newer ticket of this session was used elsewhere.")
        elif state.is_at_rest and (self.cursor or 0) >= state.last_seq:
            await self._finish(state)

    async def lose(self) -> None:
        await self._leave(LOST, *admission.LOST)

    async def sign_out(self) -> None:
        await self._leave(UNKNOWN, *admission.SIGNED_OUT)

    async def _finish(self, state: State) -> None:
        reader().remove(self)
        if self._viewer.came_at_rest:
            payload = {"status": state.status, "message": f"This session had ended already ({state.status})."}
            await self._socket.send(as_text(SESSION_ALREADY_ENDED, payload, state.last_seq))
        await self._socket.close(DONE)

    async def _leave(self, close_code: int, code: str, words: str) -> None:
        reader().remove(self)
        await self._socket.refuse(close_code, code, words)


# --- By cookie, for our own pages


class ConsoleConsumer(Socket):
    """Any number of sessions for one page."""

    actor: Actor
    session_key: str  # a sign-out ends the console session, and with it this socket

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.followed: dict[UUID, ConsoleFollower] = {}
        self.watcher: ConsoleWatcher | None = None

    async def connect(self) -> None:
        scope: Any = self.scope
        if not same_origin(scope):
            await self.close()
            return
        await self.accept()
        user = scope["user"]
        if not user.is_authenticated:
            await self.refuse(UNKNOWN, *admission.SIGNED_OUT)
            return
        self.actor, self.session_key = actor_of_user(user), scope["session"].session_key
        if self.asked().get("changes") == "yes" and self.actor.organization_id is not None:
            self.watcher = ConsoleWatcher(self, self.actor.organization_id)
            watch().add(self.watcher)
        session_id = self.scope["url_route"]["kwargs"].get("session_id")
        if session_id is not None:
            await self._answering(self._follow(session_id, self.asked().get("after_seq", "0")))

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self._answering(self._obey(text_data or ""))

    async def disconnect(self, code: int) -> None:
        for follower in self.followed.values():
            reader().remove(follower)
        self.followed.clear()
        if self.watcher is not None:
            watch().remove(self.watcher)

    def forget(self, follower: ConsoleFollower) -> None:
        """Follow no longer."""
        reader().remove(follower)
        self.followed.pop(follower.session_id, None)

    async def _answering(self, act: Any) -> None:
        try:
            await act
        except Refused as refusal:
            await self.refuse(refusal.close_code, refusal.code, refusal.words)

    async def _obey(self, text: str) -> None:
        match parsed(text):
            case {"follow": {"session": str(session), **more}}:
                await self._follow(identity(session), str(more.get("after_seq", 0)))
            case {"unfollow": {"session": str(session)}} if identity(session) in self.followed:
                self.forget(self.followed[identity(session)])
            case {"unfollow": _}:
                pass
            case _:
                raise Refused(SENSELESS, "not_understood", "This socket understands follow and unfollow.")

    async def _follow(self, session_id: UUID, after: str) -> None:
        after_seq = number(after)
        if session_id in self.followed:
            self.forget(self.followed[session_id])
        if len(self.followed) >= MOST_FOLLOWED:
            raise Refused(SENSELESS, "too_many", f"One socket follows at most {MOST_FOLLOWED} sessions.")
        seen = await off_loop(still_visible, self.actor, [session_id], self.session_key)
        if seen is None:
            raise Refused(UNKNOWN, *admission.SIGNED_OUT)
        if not seen:
            raise Refused(GONE, "not_found", "Not found.")
        follower = self.followed[session_id] = ConsoleFollower(self, session_id, after_seq)
        reader().add(follower)


class ConsoleFollower(Follower):
    """Sends frames for as long as the page is open and may see them."""

    def __init__(self, socket: ConsoleConsumer, session_id: UUID, after_seq: int) -> None:
        super().__init__(session_id, actor=socket.actor, cursor=after_seq, session_key=socket.session_key)
        self._socket = socket
        self._state: State | None = None

    async def take(self, lines: Sequence[Line]) -> None:
        for line in lines:
            await self._socket.send(as_text(line.type, line.payload, line.seq, session=str(self.session_id)))

    async def hear(self, state: State | None) -> None:
        """A change of state that is no event (a close, a rename) is told too, so that the page looks again."""
        if state is None:
            await self.lose()
        elif self._state is not None and self._state.status != state.status:
            payload = {"status": state.status}
            await self._socket.send(
                as_text("powerloom.session_changed", payload, self.cursor or 0, session=str(self.session_id))
            )
        self._state = state

    async def lose(self) -> None:
        self._socket.forget(self)
        await self._socket.refuse(GONE, "not_found", "Not found.")

    async def sign_out(self) -> None:
        self._socket.forget(self)
        await self._socket.refuse(UNKNOWN, *admission.SIGNED_OUT)


class ConsoleWatcher(Watcher):
    """Tells a page for as long as it is open."""

    def __init__(self, socket: ConsoleConsumer, organization_id: UUID) -> None:
        super().__init__(organization_id, socket.actor, socket.session_key)
        self._socket = socket

    async def tell(self, kinds: Collection[str]) -> None:
        await self._socket.send(as_text("powerloom.changed", {"kinds": list(kinds)}, 0))

    async def sign_out(self) -> None:
        await self._socket.refuse(UNKNOWN, *admission.SIGNED_OUT)


def same_origin(scope: dict[str, Any]) -> bool:
    """Tell whether a page of this very host opened the socket. Browsers always say who did; nobody else may use the
    cookie.
    """
    headers = dict(scope["headers"])
    origin = urlsplit(headers.get(b"origin", b"").decode("latin-1"))
    return origin.scheme in {"http", "https"} and origin.netloc == headers.get(b"host", b"").decode("latin-1")


def parsed(text: str) -> Any:
    """Return the message's JSON value; anything else is refused."""
    try:
        return json.loads(text[:MOST_TEXT])
    except (ValueError, RecursionError) as error:
        raise Refused(SENSELESS, "not_understood", "Messages are JSON objects.") from error


def identity(text: str) -> UUID:
    """Return the id that a message names."""
    try:
        return UUID(text)
    except ValueError as error:
        raise Refused(GONE, "not_found", "Not found.") from error


def number(text: str) -> int:
    """Return the number of an event."""
    if not text.isascii() or not text.isdigit() or len(text) > MOST_DIGITS:
        raise Refused(SENSELESS, "after_seq_invalid", "after_seq is the number of an event.")
    return int(text)


class NoSuchSocket(Socket):
    """Answers sockets at addresses that have none."""

    async def connect(self) -> None:
        await self.close()


# A thread of its own a call, not the one that all requests share.
def off_loop(function: Any, *args: Any) -> Any:
    """Run a database function away from the loop; its connection is given back."""
    return database_sync_to_async(function, thread_sensitive=False)(*args)
