"""Sessions that wait for an answer to a tool call, as a relay leaves them, and their requests in the inbox."""

from typing import Any

from accounts.models import User
from agents.models import Agent
from approvals.models import ApprovalRequest
from sessions import asking
from sessions.models import AgentSession, ToolCall
from tests.recorded import event, invoked, observe

ARGUMENTS = {"command": "ls -la"}


def built_in(name: str = "bash", arguments: Any = ARGUMENTS) -> dict[str, Any]:
    """A call of a built-in tool that asks."""
    return event("agent.tool_use", name=name, input=arguments, evaluated_permission="ask")


def of_server(server: str = "notes", name: str = "echo") -> dict[str, Any]:
    """A call of an MCP server's tool that asks."""
    return event(
        "agent.mcp_tool_use", mcp_server_name=server, name=name, input={"text": "hi"}, evaluated_permission="ask"
    )


def requires(*calls: dict[str, Any]) -> dict[str, Any]:
    """The session rests until these calls are answered."""
    reason = {"type": "requires_action", "event_ids": [call["id"] for call in calls]}
    return event("session.status_idle", stop_reason=reason)


def waiting(agent: Agent, by: User, *calls: dict[str, Any], **fields: Any) -> AgentSession:
    """A session that waits for answers to these calls; they are not in the inbox yet."""
    return observe(invoked(agent, by, **fields), event("session.status_running"), *calls, requires(*calls))


def request_of(session: AgentSession, call: dict[str, Any]) -> ApprovalRequest:
    """The request of a call, as it is now."""
    request_id = ToolCall.objects.get(session=session, remote_id=call["id"]).request_id
    assert request_id
    return ApprovalRequest.objects.get(pk=request_id)


def asked(agent: Agent, by: User, call: dict[str, Any], **fields: Any) -> tuple[AgentSession, ApprovalRequest]:
    """A session that waits for one call, and the call's request."""
    session = waiting(agent, by, call, **fields)
    asking.follow()
    return session, request_of(session, call)


def confirmed(by: Any, session: AgentSession, call: dict[str, Any], result: str = "allow", **said: Any) -> Any:
    """Answer on the session itself; `by` is the API of somebody."""
    body = {"tool_use_id": call["id"], "result": result, **said}
    return by.post(f"/sessions/{session.pk}/confirmations", body)
