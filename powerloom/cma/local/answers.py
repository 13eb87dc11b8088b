"""The client's answers to the calls of a turn: confirmations, and results of its own tools.

State kept with the turn: `calls` maps a call's key in the script to its event id, `asks` lists the event ids that
need an answer, `answers` maps event ids to what was said.
"""

from powerloom.cma.local.bodies.event import UserCustomToolResult, UserToolConfirmation
from powerloom.cma.local.errors import ApiError, invalid
from powerloom.cma.types import JSON

Answer = UserToolConfirmation | UserCustomToolResult

NEEDS_CONFIRMATION = ("agent.tool_use", "agent.mcp_tool_use")


def call_id(answer: Answer) -> str:
    """The id of the call that is answered."""
    return answer.tool_use_id if isinstance(answer, UserToolConfirmation) else answer.custom_tool_use_id


def refusal(
    answer: UserToolConfirmation | UserCustomToolResult, call: JSON | None, state: JSON | None
) -> ApiError | None:
    """Why this answer does not fit the call it names, or None. `call` is that call's event."""
    wanted = NEEDS_CONFIRMATION if isinstance(answer, UserToolConfirmation) else ("agent.custom_tool_use",)
    if call is None or call["type"] not in wanted:
        return invalid(f"{call_id(answer)} is not a call that this event can answer")
    if isinstance(answer, UserToolConfirmation) and call.get("evaluated_permission") != "ask":
        return invalid(f"{call['id']} did not ask for a confirmation")
    if state is None or call["id"] not in state["asks"] or call["id"] in state["answers"]:
        return invalid(f"{call['id']} is not waiting for an answer")
    return None


def record(state: JSON, answer: Answer) -> None:
    """Note an answer."""
    denied = None
    if isinstance(answer, UserToolConfirmation) and answer.result == "deny":
        denied = answer.deny_message or "no reason given"
    state["answers"][call_id(answer)] = {"denied": denied}


def waiting_for(settle: JSON, state: JSON) -> list[str]:
    """Ids of the calls of this step that still need the client."""
    ids = [state["calls"][key] for key in settle["keys"]]
    return [id for id in ids if id in state["asks"] and id not in state["answers"]]


def denied(state: JSON, call: str) -> str | None:
    """Why the client refused a call, None when it did not."""
    answer: JSON = state["answers"].get(call, {})
    reason: str | None = answer.get("denied")
    return reason
