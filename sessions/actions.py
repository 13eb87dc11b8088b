"""Every action of this app; starting a session is the agent's `agent:invoke`."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """What can be done to what is running. Alphabetical."""

    SESSION_CLOSE = "session:close"
    SESSION_CONFIRM = "session:confirm"  # answer a tool call that asks, on the session itself
    SESSION_DELETE = "session:delete"
    SESSION_INTERRUPT = "session:interrupt"
    SESSION_MESSAGE = "session:message"
    SESSION_READ = "session:read"
    SESSION_RENAME = "session:rename"
    TOOL_CALL_ANSWER = "tool_call:answer"  # send what was decided; only the system, for a request that was decided
    TOOL_CALL_CONFIRM = "tool_call:confirm"  # decide about calls of an agent that ask
