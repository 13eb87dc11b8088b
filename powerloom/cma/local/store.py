"""The local runtime's one SQLite file; its tables are in `schema`.

All calls are synchronous and short, and come from the event loop's thread alone, so no two ever interleave. WAL with
`synchronous=NORMAL` keeps every commit through a killed process (a power cut may lose the last few).
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from powerloom.cma.local.schema import SCHEMA
from powerloom.cma.types import JSON

FILE_NAME = "cma-local.sqlite3"


class KeyTaken(Exception):
    """Another live document of the same kind and parent has this key."""


@dataclass(frozen=True)
class Query:
    """What a list asks for. `after` is the sequence number to go on from; `where` adds conditions to the SQL."""

    kind: str
    limit: int
    parent: str | None = None
    after: int | None = None
    ascending: bool = False
    include_archived: bool = True
    where: Sequence[tuple[str, Sequence[Any]]] = ()


class Store:
    """Opens (or makes) the file in `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / FILE_NAME, isolation_level=None, timeout=20)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # Documents

    def insert(
        self,
        kind: str,
        doc: JSON,
        *,
        id: str | None = None,
        parent: str = "",
        key: str | None = None,
        secret: JSON | None = None,
    ) -> None:
        """Add a document. Raises KeyTaken."""
        try:
            self._db.execute(
                "INSERT INTO document (id, kind, parent, key, status, archived, created_at, doc, secret)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    id or doc["id"],
                    kind,
                    parent,
                    key,
                    doc.get("status"),
                    doc.get("archived_at") is not None,
                    doc["created_at"],
                    _text(doc),
                    _text(secret) if secret is not None else None,
                ),
            )
        except sqlite3.IntegrityError as error:
            raise KeyTaken(key) from error

    def get_text(self, kind: str, id: str, parent: str | None = None) -> str | None:
        """A document as JSON text, or None."""
        row = self._db.execute("SELECT doc, parent FROM document WHERE id = ? AND kind = ?", (id, kind)).fetchone()
        if row is None or (parent is not None and row[1] != parent):
            return None
        return str(row[0])

    def get(self, kind: str, id: str, parent: str | None = None) -> JSON | None:
        """A document, or None."""
        text = self.get_text(kind, id, parent)
        return None if text is None else _value(text)

    def replace(self, kind: str, doc: JSON) -> None:
        """Write a document again; its status and archived mark follow it."""
        self._db.execute(
            "UPDATE document SET doc = ?, status = ?, archived = ? WHERE id = ? AND kind = ?",
            (_text(doc), doc.get("status"), doc.get("archived_at") is not None, doc["id"], kind),
        )

    def delete(self, kind: str, id: str) -> None:
        """Remove a document."""
        self._db.execute("DELETE FROM document WHERE id = ? AND kind = ?", (id, kind))

    def delete_children(self, kind: str, parent: str) -> None:
        """Remove all documents of a parent."""
        self._db.execute("DELETE FROM document WHERE kind = ? AND parent = ?", (kind, parent))

    def secret(self, id: str) -> JSON | None:
        """The part of a document that is never sent."""
        row = self._db.execute("SELECT secret FROM document WHERE id = ?", (id,)).fetchone()
        return _value(row[0]) if row and row[0] is not None else None

    def set_secret(self, id: str, secret: JSON | None) -> None:
        """Replace it, or purge it with None."""
        self._db.execute(
            "UPDATE document SET secret = ? WHERE id = ?", (_text(secret) if secret is not None else None, id)
        )

    def count(self, kind: str, parent: str) -> int:
        """How many live documents of a kind a parent has."""
        row = self._db.execute(
            "SELECT count(*) FROM document WHERE kind = ? AND parent = ? AND archived = 0", (kind, parent)
        ).fetchone()
        return int(row[0])

    def children(self, kind: str, parent: str) -> list[JSON]:
        """All live documents of a parent, oldest first."""
        rows = self._db.execute(
            "SELECT doc FROM document WHERE kind = ? AND parent = ? AND archived = 0 ORDER BY seq", (kind, parent)
        )
        return [_value(row[0]) for row in rows]

    def find(self, query: Query) -> list[tuple[int, str]]:
        """Sequence numbers and texts, one page of them plus one, so that the caller knows whether there are more."""
        sql, values = _select(query)
        return [(int(seq), str(doc)) for seq, doc in self._db.execute(sql, values)]

    def explain(self, query: Query) -> str:
        """How SQLite would go about it."""
        sql, values = _select(query)
        return "; ".join(str(row[3]) for row in self._db.execute(f"EXPLAIN QUERY PLAN {sql}", values))

    # Events

    def add_event(self, session: str, event: JSON) -> None:
        """Append an event to a session; one without `processed_at` is queued."""
        self._db.execute(
            "INSERT INTO event (session, id, type, at, doc) VALUES (?, ?, ?, ?, ?)",
            (session, event["id"], event["type"], event.get("processed_at"), _text(event)),
        )

    def take_queued(self, session: str) -> JSON | None:
        """The oldest queued input of a session, removed from its place; append it again with its time."""
        row = self._db.execute(
            "DELETE FROM event WHERE n = (SELECT min(n) FROM event WHERE session = ? AND at IS NULL) RETURNING doc",
            (session,),
        ).fetchone()
        return None if row is None else _value(row[0])

    def next_queued(self, session: str) -> str | None:
        """The type of the input that waits longest, or None."""
        row = self._db.execute(
            "SELECT type FROM event WHERE session = ? AND at IS NULL ORDER BY n LIMIT 1", (session,)
        ).fetchone()
        return None if row is None else str(row[0])

    def count_events(self, session: str, kind: str) -> int:
        """How many events of a type a session has."""
        row = self._db.execute("SELECT count(*) FROM event WHERE session = ? AND type = ?", (session, kind)).fetchone()
        return int(row[0])

    def event(self, session: str, id: str) -> JSON | None:
        """One event of a session, or None."""
        row = self._db.execute("SELECT doc FROM event WHERE id = ? AND session = ?", (id, session)).fetchone()
        return None if row is None else _value(row[0])

    def events(
        self,
        session: str,
        *,
        limit: int,
        after: int | None,
        ascending: bool,
        where: Sequence[tuple[str, Sequence[Any]]] = (),
    ) -> list[tuple[int, str]]:
        """Positions and texts of a session's events, one page of them plus one."""
        conditions = [("session = ?", (session,)), *where]
        sql, values = _page("event", "n", conditions, after=after, ascending=ascending, limit=limit)
        return [(int(n), str(doc)) for n, doc in self._db.execute(sql, values)]

    def delete_session(self, session: str) -> None:
        """Remove a session with its events and its turn."""
        self._db.execute("DELETE FROM event WHERE session = ?", (session,))
        self._db.execute("DELETE FROM turn WHERE session = ?", (session,))
        self.delete("session", session)

    # Turns

    def start_turn(self, session: str, plan: JSON, state: JSON) -> None:
        """Remember the script that a session follows now."""
        self._db.execute("INSERT OR REPLACE INTO turn VALUES (?, ?, ?)", (session, _text(plan), _text(state)))

    def turn(self, session: str) -> tuple[JSON, JSON] | None:
        """Script and state of a session's turn, or None between turns."""
        row = self._db.execute("SELECT plan, state FROM turn WHERE session = ?", (session,)).fetchone()
        return None if row is None else (_value(row[0]), _value(row[1]))

    def set_turn_state(self, session: str, state: JSON) -> None:
        """Remember how far a turn has come."""
        self._db.execute("UPDATE turn SET state = ? WHERE session = ?", (_text(state), session))

    def end_turn(self, session: str) -> None:
        """Forget the script."""
        self._db.execute("DELETE FROM turn WHERE session = ?", (session,))

    def sessions_to_resume(self) -> list[str]:
        """Sessions that were running, or had input waiting, when the server last stopped."""
        rows = self._db.execute(
            "SELECT id FROM document WHERE kind = 'session' AND archived = 0 AND"
            " (status IN ('running', 'rescheduling') OR id IN (SELECT session FROM event WHERE at IS NULL))"
        )
        return [str(row[0]) for row in rows]

    # Contents

    def put_blob(self, id: str, data: bytes) -> None:
        """Store bytes under an id."""
        self._db.execute("INSERT INTO blob VALUES (?, ?)", (id, data))

    def blob(self, id: str) -> bytes:
        """The bytes of an id that exists."""
        row = self._db.execute("SELECT data FROM blob WHERE id = ?", (id,)).fetchone()
        return bytes(row[0])

    def delete_blob(self, id: str) -> None:
        """Remove them."""
        self._db.execute("DELETE FROM blob WHERE id = ?", (id,))


def _select(query: Query) -> tuple[str, list[Any]]:
    conditions: list[tuple[str, Sequence[Any]]] = [("kind = ?", (query.kind,))]
    if query.parent is not None:
        conditions.append(("parent = ?", (query.parent,)))
    if not query.include_archived:
        conditions.append(("archived = 0", ()))
    conditions += query.where
    return _page("document", "seq", conditions, after=query.after, ascending=query.ascending, limit=query.limit)


def _page(
    table: str,
    place: str,
    conditions: Sequence[tuple[str, Sequence[Any]]],
    *,
    after: int | None,
    ascending: bool,
    limit: int,
) -> tuple[str, list[Any]]:
    """The query for one page plus one row, by keyset: it costs the same wherever in the list it is."""
    clauses = [clause for clause, _ in conditions]
    values = [value for _, given in conditions for value in given]
    if after is not None:
        clauses.append(f"{place} {'>' if ascending else '<'} ?")
        values.append(after)
    order = "ASC" if ascending else "DESC"
    where = " AND ".join(clauses)
    sql = f"SELECT {place}, doc FROM {table} WHERE {where} ORDER BY {place} {order} LIMIT ?"  # noqa: S608 - our words
    return sql, [*values, limit + 1]


def _text(value: JSON) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _value(text: str) -> JSON:
    value: JSON = json.loads(text)
    return value
