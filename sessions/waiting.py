"""Sync mode without a thread: the view answers at once, and this wrapper outside Django keeps the answer until the
session comes to rest, or waits for a person: nobody would confirm while its caller waits for the answer.

A stock async Django view keeps a thread for every open request. Here a waiting client costs one future: the view
marks its answer with an internal header, the wrapper takes the mark off, waits with the process's one reader, and
then sends the same answer with the session as it is then. The mark names a secret of this process, so nobody outside
can make one, and who asked: whose sign-in, token or account is over by then is refused. A server that stops says so:
the session goes on without it, and the refusal names it.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import Any  # ASGI
from uuid import UUID

from channels.db import database_sync_to_async
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpResponse

from powerloom.kernel.errors import PowerloomError, Unauthenticated, Unavailable
from powerloom.kernel.refs import Actor
from powerloom.web.answers import error_shape
from powerloom.web.requests import HEADER as REQUEST_ID
from sessions import tickets
from sessions.models import AgentSession
from sessions.queries import still_visible
from sessions.reader import Follower, State, reader
from sessions.rows import session_row

HEADER = "X-Powerloom-Await"
REST = ("status", "stop_reason", "waiting_for")
_NAME = HEADER.lower().encode()
_SECRET = secrets.token_urlsafe(16)

Scope = dict[str, Any]
Message = dict[str, Any]


@dataclass(frozen=True)
class Mark:
    """Which session an answer waits for, and who asked."""

    session_id: UUID
    actor: Actor


def mark(response: HttpResponse, session_id: UUID, actor: Actor) -> HttpResponse:
    """Have the answer kept until the session is settled, for this actor."""
    response.headers[HEADER] = f"{_SECRET} {session_id} {json.dumps(tickets.as_json(actor))}"
    return response


class WaitingApp:
    """Wraps an ASGI application; everything without the mark passes through untouched."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = Answer(send)
        await self._app(scope, receive, answer.send)
        if answer.mark is None:
            return
        try:
            if await settled(answer.mark, receive):
                await answer.finish()
        except asyncio.CancelledError:  # the server stops; a client that left is not written to
            await answer.refuse(_stopped(answer.mark.session_id))
            raise


class Answer:
    """An answer on its way out: passed on, or kept when it bears the mark."""

    def __init__(self, send: Any) -> None:
        self._send = send
        self._start: Message = {}
        self._body = b""
        self.mark: Mark | None = None

    async def send(self, message: Message) -> None:
        """Take one ASGI message of the wrapped application."""
        if message["type"] == "http.response.start":
            self.mark = _marked(message)
            message["headers"] = [pair for pair in message.get("headers", []) if pair[0].lower() != _NAME]
            self._start = message
        if self.mark is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")

    async def finish(self) -> None:
        """Send it, with the session as it is now; or refuse it to who is nobody any more."""
        assert self.mark is not None, "only a marked answer is kept"
        try:
            final = await database_sync_to_async(_final, thread_sensitive=False)(self.mark)
        except PowerloomError as error:
            await self.refuse(error)
            return
        await self._deliver(self._start["status"], json.loads(self._body) | final)

    async def refuse(self, error: PowerloomError) -> None:
        """Send a refusal in its place."""
        await self._deliver(error.status, error_shape(error, self._header(REQUEST_ID)))

    async def _deliver(self, status: int, value: dict[str, Any]) -> None:
        body = json.dumps(value, cls=DjangoJSONEncoder).encode()
        headers = [pair for pair in self._start["headers"] if pair[0].lower() != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
        await self._send({**self._start, "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    def _header(self, name: str) -> str:
        wanted = name.lower().encode()
        return next((value.decode() for key, value in self._start["headers"] if key.lower() == wanted), "")


class Waiter(Follower):
    """Waits for one session to be settled, or for what its caller came with to be over."""

    def __init__(self, marked: Mark) -> None:
        super().__init__(marked.session_id, actor=marked.actor)
        self.settled = asyncio.get_running_loop().create_future()

    async def hear(self, state: State | None) -> None:
        if state is None or state.is_at_rest or state.waiting_for:
            self._settle()

    async def lose(self) -> None:
        """Who may invoke and not read waits on: in the end it is told how the session came to rest, and no more."""

    async def sign_out(self) -> None:
        self._settle()

    def _settle(self) -> None:
        if not self.settled.done():
            self.settled.set_result(None)


async def settled(marked: Mark, receive: Any) -> bool:
    """Wait until the session is at rest, waits for a person or is deleted, or what its caller came with is over. False
    when the client went away first.
    """
    waiter = Waiter(marked)
    gone = asyncio.create_task(_disconnected(receive))
    reader().add(waiter)
    try:
        await asyncio.wait({waiter.settled, gone}, return_when=asyncio.FIRST_COMPLETED)
        return waiter.settled.done()
    finally:
        reader().remove(waiter)
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone


async def _disconnected(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _marked(start: Message) -> Mark | None:
    for name, value in start.get("headers", []):
        if name.lower() == _NAME:
            secret, _, said = value.decode("latin-1").partition(" ")
            if not secrets.compare_digest(secret, _SECRET):
                return None
            session_id, _, actor = said.partition(" ")
            return Mark(UUID(session_id), tickets.actor_from(json.loads(actor)))
    return None


def _stopped(session_id: UUID) -> Unavailable:
    words = "This server stops. The session goes on without it: read it at GET /sessions/{id}."
    return Unavailable(words, session_id=str(session_id))


def _final(marked: Mark) -> dict[str, Any]:
    """Return the session as it is now; of one that is not for the caller to read, or deleted, how it came to rest."""
    seen = still_visible(marked.actor, [marked.session_id])
    if seen is None:
        raise Unauthenticated("What you signed in with is over. The session goes on: sign in and read it.")
    row = session_row(AgentSession.objects.select_related("ou", "agent").get(pk=marked.session_id))
    return row if marked.session_id in seen else {name: row[name] for name in REST}
