"""The eleven tools, each as the requests it makes."""

from __future__ import annotations

from typing import Any  # JSON of the API
from uuid import UUID

from agents.backends.powerloom_meta.api import Caller, Refused, Reply
from agents.mcp.powerloom_meta import (
    MOST_NODES,
    RIGHTS,
    AgentDetail,
    Agents,
    AttachedServer,
    AttachedSkill,
    AttachServerArguments,
    AttachSkillArguments,
    CreateAgentArguments,
    CreateCredentialArguments,
    DescribeAgentArguments,
    DescribedAgent,
    DescribedUser,
    DescribeUserArguments,
    ListOUsArguments,
    MadeAgent,
    MadeCredential,
    OUTree,
    Paged,
    Result,
    Rows,
    Servers,
    Skills,
    Users,
)
from agents.mcp.template import Call

HELD = 202
JSON = dict[str, Any]
LISTS: dict[str, tuple[type[Rows], str, str]] = {  # what a list answers, under which name, and where it comes from
    "list_users": (Users, "users", "/users"),
    "list_skills": (Skills, "skills", "/skills"),
    "list_mcp_servers": (Servers, "mcp_servers", "/mcp-servers"),
    "list_agents": (Agents, "agents", "/agents"),
}

WAITS = (
    "cma_agent_id is null: the reconciler has not pushed this agent to the runtime yet (sync status: {status}). Wait a "
    "few seconds and invoke. If it persists, check the sync state for errors."
)


async def run(caller: Caller, call: Call) -> Result:
    """Run one call. Raises `Refused` with what the API answered, and `Unreachable`."""
    match call.arguments:
        case ListOUsArguments(under=under):
            return _tree(await caller.get("/ous/tree"), under)
        case Paged() as asked:
            shape, name, path = LISTS[call.tool]
            reply = await caller.get(path, asked.model_dump())
            rows = {name: reply.body, "next_cursor": reply.next_cursor}
            return shape.model_validate({**_common(call.tool, reply), **rows})
        case DescribeUserArguments(email=email):
            return _user(await caller.get("/users", {"email": email}), email)
        case DescribeAgentArguments(agent_id=agent_id):
            reply = await caller.get(f"/agents/{agent_id}")
            return DescribedAgent(agent=_agent(reply.body), **_common(call.tool, reply))
        case _:
            return await _write(caller, call)


async def _write(caller: Caller, call: Call) -> Result:
    match call.arguments:
        case CreateAgentArguments() as asked:
            reply = await caller.post("/agents", _new_agent(asked))
            return MadeAgent(**_made(call.tool, reply, agent=_agent))
        case AttachSkillArguments(agent_id=agent_id) as asked:
            body = asked.model_dump(mode="json", exclude={"agent_id"})
            reply = await caller.post(f"/agents/{agent_id}/skills", body)
            return AttachedSkill(**_made(call.tool, reply, attachment=dict))
        case CreateCredentialArguments() as asked:
            reply = await caller.post("/credentials", asked.model_dump(mode="json"))
            return MadeCredential(**_made(call.tool, reply, credential=dict))
        case AttachServerArguments(agent_id=agent_id) as asked:
            body = asked.model_dump(mode="json", exclude={"agent_id"})
            reply = await caller.post(f"/agents/{agent_id}/mcp-servers", body)
            return AttachedServer(**_made(call.tool, reply, attachment=dict))
    raise ValueError(f"powerloom_meta has no tool {call.tool}")


def _common(tool: str, reply: Reply) -> JSON:
    return {"status": reply.status, "request_id": reply.request_id, "right": RIGHTS[tool]}


def _made(tool: str, reply: Reply, **shown: Any) -> JSON:
    """Return the fields of what a write answers: the thing, or the request that holds the change."""
    found = {"held": reply.body} if reply.status == HELD else {name: of(reply.body) for name, of in shown.items()}
    return {**_common(tool, reply), **found}


def _tree(reply: Reply, under: str | None) -> OUTree:
    nodes: list[JSON] = reply.body
    if under is not None:
        path = under.rstrip("/")
        nodes = [found for node in nodes if (found := _node(node, path))]
        if not nodes:
            raise _absent(reply, f"No OU found with path {path}. Check it with list_ous and try again.")
    kept, is_complete = _topmost(nodes)
    common = _common("list_ous", reply)
    return OUTree.model_validate({**common, "ous": kept, "is_complete": is_complete})


def _node(node: JSON, path: str) -> JSON | None:
    if node["path"] == path:
        return node
    return next((found for child in node["children"] if (found := _node(child, path))), None)


def _topmost(nodes: list[JSON]) -> tuple[list[JSON], bool]:
    """Return as many levels, from the top, as one answer holds, and whether that is all."""
    level, levels, count = nodes, 0, len(nodes)
    while level and count <= MOST_NODES:
        level = [child for node in level for child in node["children"]]
        levels, count = levels + 1, count + len(level)
    return [_cut(node, levels) for node in nodes[:MOST_NODES]], not level and len(nodes) <= MOST_NODES


def _cut(node: JSON, levels: int) -> JSON:
    return {**node, "children": [_cut(child, levels - 1) for child in node["children"]] if levels > 1 else []}


def _user(reply: Reply, email: str) -> DescribedUser:
    if not reply.body:
        raise _absent(reply, f"No user found with email {email}. Check the email address and try again.")
    return DescribedUser.model_validate({**_common("describe_user", reply), "user": reply.body[0]})


def _absent(reply: Reply, said: str) -> Refused:
    return Refused(404, {"code": "not_found", "message": said, "detail": {}}, reply.request_id, said)


def _new_agent(asked: CreateAgentArguments) -> JSON:
    named = asked.model_dump(mode="json")
    return named | {"display_name": asked.display_name or asked.name.replace("-", " ").capitalize()}


def _agent(row: JSON) -> AgentDetail:
    note = "" if row["cma_agent_id"] else WAITS.format(status=row["sync"]["status"])
    invoke = f"POST /agents/{UUID(row['id'])}/invoke"
    return AgentDetail.model_validate({**row, "invoke": invoke, "note": note})
