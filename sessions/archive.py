"""A session and all its events as one JSON document, in parts, so that its length costs no memory."""

from __future__ import annotations

import json
from collections.abc import Iterator

from django.core.serializers.json import DjangoJSONEncoder

from sessions.models import AgentSession
from sessions.queries import events_after
from sessions.rows import event_row, session_row

BATCH = 500


def archive(session: AgentSession) -> Iterator[bytes]:
    """Return `{"session": …, "events": […]}` as the API shows both. The caller already holds the session."""
    yield b'{"session": ' + _json(session_row(session)) + b', "events": ['
    after, separator = 0, b"\n"
    while events := events_after(session, after, limit=BATCH):
        for event in events:
            yield separator + _json(event_row(event))
            separator = b",\n"
        after = events[-1].seq
    yield b"\n]}\n"


def _json(value: object) -> bytes:
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False).encode("utf-8", "surrogatepass")
