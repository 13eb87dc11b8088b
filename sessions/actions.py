"""Every action of this app; starting a session is the agent's `agent:invoke`."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """What can be done to what is running. Alphabetical."""

    SESSION_CLOSE = "session:close"
    SESSION_CONFIRM = "session:confirm"  # answer a tool call that asks
    SESSION_DELETE = "session:delete"
    SESSION_INTERRUPT = "session:interrupt"
    SESSION_MESSAGE = "session:message"
    SESSION_READ = "session:read"
    SESSION_RENAME = "session:rename"
