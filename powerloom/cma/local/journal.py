"""Writing down what happens in a session: events, status, and where its turn stands, in one transaction.

Listeners hear of it after the commit, in the order it was written, so nobody ever sees an event that a restart could
take back.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from powerloom.cma.local.ids import new_id, now
from powerloom.cma.local.sse import Hub
from powerloom.cma.local.store import Store
from powerloom.cma.types import JSON


class Journal:
    """One transaction's entries about one session."""

    def __init__(self, store: Store, session_id: str) -> None:
        self._store = store
        self._id = session_id
        self.written: list[JSON] = []

    def emit(self, kind: str, *, id: str | None = None, **fields: Any) -> JSON:
        """Write an event that happens now."""
        event = {"id": id or new_id("sevt"), "type": kind, "processed_at": now(), **fields}
        self._store.add_event(self._id, event)
        self.written.append(event)
        return event

    def queue(self, kind: str, fields: JSON) -> JSON:
        """Write an input that waits for its turn. Listeners hear of it when it is processed."""
        event = {"id": new_id("sevt"), "type": kind, "processed_at": None, **fields}
        self._store.add_event(self._id, event)
        return event

    def process(self, event: JSON) -> None:
        """Write an input that was waiting, now that it is taken up."""
        event["processed_at"] = now()
        self._store.add_event(self._id, event)
        self.written.append(event)

    def session(self) -> JSON:
        """The session as it stands."""
        session = self._store.get("session", self._id)
        assert session is not None, "only existing sessions are written about"
        return session

    def change(self, **fields: Any) -> JSON:
        """Change the session."""
        session = {**self.session(), **fields, "updated_at": now()}
        self._store.replace("session", session)
        return session

    def running(self) -> None:
        """The session runs."""
        session = self.change(status="running")
        self.emit("session.status_running")
        self.emit("session.thread_status_running", **_thread(session))

    def rescheduled(self) -> None:
        """The session waits for the service."""
        session = self.change(status="rescheduling")
        self.emit("session.thread_status_rescheduled", **_thread(session))
        self.emit("session.status_rescheduled")

    def idle(self, reason: JSON, details: JSON | None = None, **fields: Any) -> None:
        """The session waits for its client, for this reason."""
        session = self.change(status="idle", **fields)
        self.emit("session.thread_status_idle", **_thread(session), stop_reason=reason, stop_details=details)
        self.emit("session.status_idle", stop_reason=reason, stop_details=details)

    def still_idle(self, reason: JSON) -> None:
        """The session still waits, for less than before."""
        self.emit("session.status_idle", stop_reason=reason, stop_details=None)

    def terminated(self, **fields: Any) -> None:
        """The session is over."""
        session = self.change(status="terminated", **fields)
        self.emit("session.thread_status_terminated", **_thread(session))
        self.emit("session.status_terminated")


@contextmanager
def writing(store: Store, hub: Hub, session_id: str) -> Iterator[Journal]:
    """A journal whose entries are committed together, and then told to listeners."""
    journal = Journal(store, session_id)
    with store.transaction():
        yield journal
    for event in journal.written:
        hub.publish(session_id, event)


def _thread(session: JSON) -> JSON:
    """The one thread every session here has, under an id made from its own."""
    return {"session_thread_id": "sthr_" + session["id"].partition("_")[2], "agent_name": session["agent"]["name"]}
