"""Bodies of `/v1/sessions/{id}/events`: the events a client may send."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from powerloom.cma.local.bodies.base import Body
from powerloom.cma.local.bodies.content import MessageBlock, ResultBlock, TextBlock
from powerloom.cma.types import JSON

MOST_EVENTS = 50
SYSTEM_TEXTS = 1000

Id = Annotated[str, Field(min_length=1, max_length=128)]


class UserMessage(Body):
    """Something to do."""

    type: Literal["user.message"]
    content: Annotated[list[MessageBlock], Field(min_length=1)]


class UserInterrupt(Body):
    """Stop now."""

    type: Literal["user.interrupt"]
    session_thread_id: Id | None = None


class UserToolConfirmation(Body):
    """Yes or no to one call."""

    type: Literal["user.tool_confirmation"]
    tool_use_id: Id
    result: Literal["allow", "deny"]
    deny_message: str | None = None

    @model_validator(mode="after")
    def _message_goes_with_deny(self) -> "UserToolConfirmation":
        if self.deny_message is not None and self.result != "deny":
            raise ValueError("deny_message is only allowed when result is 'deny'")
        return self


class UserCustomToolResult(Body):
    """What a tool of the client's answered."""

    type: Literal["user.custom_tool_result"]
    custom_tool_use_id: Id
    content: list[ResultBlock] | None = None
    is_error: bool | None = None


class UserToolResult(Body):
    """What a built-in tool answered, on self-hosted environments."""

    type: Literal["user.tool_result"]
    tool_use_id: Id
    content: list[ResultBlock] | None = None
    is_error: bool | None = None


class UserDefineOutcome(Body):
    """A goal with its rubric."""

    type: Literal["user.define_outcome"]
    description: str
    rubric: dict[str, Any]
    max_iterations: Annotated[int, Field(ge=1, le=20)] | None = None


class SystemMessage(Body):
    """Privileged context for this turn and all after it."""

    type: Literal["system.message"]
    content: Annotated[list[TextBlock], Field(min_length=1, max_length=SYSTEM_TEXTS)]


Event = Annotated[
    UserMessage
    | UserInterrupt
    | UserToolConfirmation
    | UserCustomToolResult
    | UserToolResult
    | UserDefineOutcome
    | SystemMessage,
    Field(discriminator="type"),
]
InitialEvent = Annotated[UserMessage | UserDefineOutcome, Field(discriminator="type")]

CARRIES_SYSTEM = {"user.message", "user.tool_result", "user.custom_tool_result"}


class Send(Body):
    """POST /v1/sessions/{id}/events."""

    events: Annotated[list[Event], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _system_message_comes_last(self) -> "Send":
        for place, event in enumerate(self.events):
            if isinstance(event, SystemMessage):
                last = place == len(self.events) - 1
                if not last or place == 0 or self.events[place - 1].type not in CARRIES_SYSTEM:
                    raise ValueError("system.message must be last, right after the user event it goes with")
        return self


def event_wire(event: Body) -> JSON:
    """An event as it is stored: what was sent, without what was left out."""
    return event.model_dump(mode="json", exclude_none=True)
