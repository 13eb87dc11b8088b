"""Who listens to which session, and the answer that keeps a listener fed.

A listener is registered before its response headers leave, so whatever happens after a client has seen them reaches
it. There is no replay: a client that lost its connection lists the events and goes on. A listener that falls too far
behind is cut off, which tells its client to do just that.
"""

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from powerloom.cma.types import JSON

HEARTBEAT_SECONDS = 15.0
MOST_WAITING = 20_000
PING = b'event: ping\ndata: {"type":"ping"}\n\n'
GREETING = b": listening\n\n"


class Listener:
    """One open stream: frames that wait to be written."""

    def __init__(self, previews: frozenset[str]) -> None:
        self.previews = previews
        self._frames: deque[bytes] = deque()
        self._ready = asyncio.Event()
        self._ended = False

    def put(self, frame: bytes) -> None:
        """Add a frame; too many, and the stream ends."""
        if self._ended:
            return
        self._frames.append(frame)
        self._ready.set()
        if len(self._frames) > MOST_WAITING:
            self._frames.clear()
            self.end()

    def end(self) -> None:
        """No more frames will come."""
        self._ended = True
        self._ready.set()

    async def take(self) -> bytes | None:
        """All frames that wait, as soon as there are any; None at the end."""
        await self._ready.wait()
        self._ready.clear()
        frames = b"".join(self._frames)
        self._frames.clear()
        if self._ended:
            self._ready.set()
        return frames or (None if self._ended else b"")


class Hub:
    """All listeners, by session."""

    def __init__(self) -> None:
        self._listeners: defaultdict[str, set[Listener]] = defaultdict(set)

    @contextmanager
    def listen(self, session: str, previews: frozenset[str]) -> Iterator[Listener]:
        """A listener for as long as the context lasts."""
        listener = Listener(previews)
        self._listeners[session].add(listener)
        try:
            yield listener
        finally:
            self._listeners[session].discard(listener)
            if not self._listeners[session]:
                del self._listeners[session]

    def publish(self, session: str, event: JSON) -> None:
        """Hand an event to everyone who listens to this session."""
        listeners = self._listeners.get(session)
        if listeners:
            frame = _frame(event)
            for listener in listeners:
                listener.put(frame)

    def wants_previews(self, session: str, kind: str) -> bool:
        """Whether anyone asked to see events of this type while they are made."""
        return any(kind in listener.previews for listener in self._listeners.get(session, ()))

    def publish_preview(self, session: str, kind: str, event: JSON) -> None:
        """Hand a preview to those who asked for this type."""
        for listener in self._listeners.get(session, ()):
            if kind in listener.previews:
                listener.put(_frame(event))

    def end(self, session: str) -> None:
        """End every stream of a session."""
        for listener in self._listeners.get(session, ()):
            listener.end()

    def end_all(self) -> None:
        """End every stream: the server stops."""
        for session in list(self._listeners):
            self.end(session)

    async def beat(self) -> None:
        """Keep quiet connections alive, until cancelled."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            for listeners in list(self._listeners.values()):
                for listener in listeners:
                    listener.put(PING)


def _frame(event: JSON) -> bytes:
    data = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return f"event: {event['type']}\ndata: {data}\n\n".encode()


class EventStream(Response):
    """The answer of a stream route. `over` says that nothing can come any more."""

    def __init__(self, hub: Hub, session: str, previews: frozenset[str], *, over: bool) -> None:
        super().__init__()
        self._hub, self._session, self._previews, self._over = hub, session, previews, over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Listen, say so, and write frames until the session or the client is gone."""
        with self._hub.listen(self._session, self._previews) as listener:
            if self._over:
                listener.end()
            watch = asyncio.create_task(_end_on_disconnect(receive, listener))
            try:
                await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
                await send({"type": "http.response.body", "body": GREETING, "more_body": True})
                while (frames := await listener.take()) is not None:
                    await send({"type": "http.response.body", "body": frames, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            finally:
                watch.cancel()
                with suppress(asyncio.CancelledError):
                    await watch


HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


async def _end_on_disconnect(receive: Receive, listener: Listener) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    listener.end()
