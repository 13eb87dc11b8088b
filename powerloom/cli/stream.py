"""A session's events as they happen: over its socket when there is a ticket, else read after the last one seen.

A socket that breaks, or that somebody else took over, is no end: the rest is read over HTTP, and nothing is lost or
told twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any  # CMA's JSON
from urllib.parse import urlsplit

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from powerloom.cli.client import LOOPBACK, Client
from powerloom.cli.verbs import Failed

PAGE = 500
PAUSE = 0.5
AT_REST = {"idle_end_turn", "terminated", "timeout", "failed"}
ERROR = "powerloom.error"
GOES_ON = {"superseded", "ticket_expired", "ticket_spent", "ticket_unknown", "ticket_missing"}


@dataclass(frozen=True)
class Event:
    """One event of a session. `seq` is its place, from 1 without gaps."""

    seq: int
    type: str
    payload: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {"seq": self.seq, "type": self.type, "payload": self.payload}


def follow(api: Client, session_id: str, *, ws_url: str | None = None, after: int = 0) -> Iterator[Event]:
    """Return the events after a number, until the session is at rest. Raises `Failed` when it is out of sight."""
    if ws_url:
        ended = False
        for event in _by_socket(api, ws_url, after):
            ended = event is None
            if event is not None:
                after = max(after, event.seq)
                yield event
        if ended:
            return
    yield from _by_reading(api, session_id, after)


def stored(api: Client, session_id: str, after: int, limit: int) -> list[Event]:
    """Return events that are there already, at most so many."""
    found = api.get(f"/sessions/{session_id}/events", after_seq=after, limit=limit)
    return [Event(row["seq"], row["event_type"], row["payload"]) for row in found]


def powerloom_servers(api: Client, session_id: str) -> list[str]:
    """Return the names by which the session's agent calls Powerloom itself."""
    found: list[str] = api.get(f"/sessions/{session_id}").get("powerloom_servers", [])  # an older server does not say
    return found


def _by_socket(api: Client, ws_url: str, after: int) -> Iterator[Event | None]:
    """Return the frames, and None at an end that the server said; without it there is more to come."""
    url = api.socket_url(ws_url) + (f"&after_seq={after}" if after else "")
    is_near = urlsplit(url).hostname in LOOPBACK
    try:
        with connect(url, proxy=None if is_near else True, max_size=None) as socket:
            for text in socket:
                frame = json.loads(text)
                if frame["type"] == ERROR:
                    if frame["payload"]["code"] in GOES_ON:
                        return
                    raise Failed(frame["payload"]["message"])
                yield Event(frame["seq"], frame["type"], frame["payload"])
            yield None
    except (OSError, WebSocketException):
        return


def _by_reading(api: Client, session_id: str, after: int) -> Iterator[Event]:
    while True:
        # The state is read first: what was stored before it came to rest is in the page that is read after.
        session = api.get(f"/sessions/{session_id}")
        found = stored(api, session_id, after, PAGE)
        yield from found
        after = found[-1].seq if found else after
        if session["status"] in AT_REST and after >= session["last_seq"]:
            return
        if not found:
            time.sleep(PAUSE)
