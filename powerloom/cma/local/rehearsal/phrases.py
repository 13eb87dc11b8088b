"""What the rehearsal says. Errors are told as they came: the API's own words are the diagnosis."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any  # rows of the tools

from powerloom.cma.local.rehearsal.work import Answer

Row = dict[str, Any]

OPENING = (
    "This is a scripted rehearsal: no model is running here. The tools are real, and every call is made and recorded"
    " with your rights."
)
EXAMPLES = (
    "“Set up a scoped sales-prospecting agent for Emma on the sales team with Apollo and Gmail access.”",
    "“What agents and MCP servers already exist in the engineering OU?”",
    "“Attach the web-search skill to sales-prospector.”",
)
MOST_LISTED = 12


def unknown() -> str:
    """What to say to a sentence that asks for nothing we know."""
    return "\n".join(
        [
            "I did not understand this as a request. A model would; this script knows a few kinds of sentences:",
            *(f"- {example}" for example in EXAMPLES),
        ]
    )


def raw(answer: Answer) -> str:
    """A refusal in the API's words, with all that it said about it."""
    body = answer.body
    if not body:
        return answer.text
    error = body.get("error")
    told = str(body.get("said") or "") or f"API returned {body.get('status')}."
    if not isinstance(error, dict):
        return told
    return f"{told}\n\nThe raw answer: {json.dumps(error, ensure_ascii=False)}"


def held(deed: str, answer: Answer) -> str:
    """A change that waits for approval, with the id of its request and who may decide."""
    request = answer.held
    by = ", ".join(str(one) for one in request.get("approvers") or ())
    return " ".join(
        [
            f"{deed} requires approval.",
            f"Request submitted (ID: {request.get('approval_request_id')}).",
            f"It waits in the /approvals inbox{f' of {by}' if by else ''}.",
            "Nothing was changed, and I cannot approve it.",
        ]
    )


def where(ous: Sequence[Row], *, said: str, home: str) -> str:
    """The question which OU it should be."""
    paths = [str(ou["path"]) for ou in ous]
    more = f" and {len(paths) - MOST_LISTED} more" if len(paths) > MOST_LISTED else ""
    unclear = f"“{said}” names no single OU. " if said else ""
    return (
        f"{unclear}Which OU should this be in? I see {', '.join(paths[:MOST_LISTED])}{more}."
        f"{f' The owner’s home is {home}.' if home else ''} Nothing was changed."
    )


def finished(agent: Row, *, made: bool, problems: Sequence[str]) -> str:
    """The heading of a summary of work that is over."""
    done = "Partly done" if problems else "Done"
    return f"{done}. Agent {agent['name']} {'created' if made else 'wired'} in {agent['ou_path']}:"


def summary(agent: Row, *, heading: str, owner: str, skills: Mapping[str, str], problems: Sequence[str] = ()) -> str:
    """What there is at the end, as the API describes it now. `skills` are names by id."""
    servers = agent.get("mcp_servers") or []
    credentials = [server["credential"] for server in servers]
    minted = all(one.get("id") for one in credentials)
    reasons = [str(one.get("why")) for one in credentials if not one.get("id") and one.get("why")]
    told = "minted" if minted and credentials else "; ".join(reasons) or "not minted" if credentials else "none needed"
    lines = [
        heading,
        f"- ID: {agent['id']}",
        f"- Model: {_model(agent['model'])}",
        f"- Owner: {owner or str(agent.get('owner_ref') or agent['owner_principal_id']).removeprefix('user:')}",
        f"- MCP servers: {_names(server['name'] for server in servers)}",
        f"- Skills: {_names(skills.get(skill['skill_id'], skill['skill_id']) for skill in agent.get('skills') or [])}",
        f"- Credentials: {told}",
        *(f"\n{problem}" for problem in problems),
        "",
        _liveness(agent),
        f"You can invoke it at {agent.get('invoke') or 'POST /agents/' + str(agent['id']) + '/invoke'}.",
    ]
    return "\n".join(lines)


def inventory(found: dict[str, list[Row]], path: str) -> str:
    """Rows by kind, those of one OU and below it or of everything one sees."""
    lines = [f"In {path} and below it:" if path else "In all that you may see:"]
    for kind, rows in found.items():
        lines += ["", f"{TITLES[kind]} ({len(rows)})", *(f"- {_line(kind, row)}" for row in rows)]
    return "\n".join(lines)


def user(row: Row) -> str:
    """One user."""
    state = "" if row["is_active"] else ", disabled"
    home = row["home_ou_path"] or "none"
    return f"{row['name']} ({row['email']}{state}): principal ID {row['principal_id']}, home {home}."


TITLES = {
    "list_ous": "OUs",
    "list_users": "Users",
    "list_skills": "Skills",
    "list_mcp_servers": "MCP servers",
    "list_agents": "Agents",
}


def _line(kind: str, row: Row) -> str:
    match kind:
        case "list_ous":
            return f"{row['path']} ({row['display_name']})"
        case "list_users":
            return user(row)
        case "list_skills":
            return f"{row['name']} in {row['ou_path']}: {row.get('description') or 'no description'}"
        case "list_mcp_servers":
            return f"{row['name']} in {row['ou_path']}: {row['state']}, {row['tool_count']} tools"
        case _:
            return f"{row['name']} in {row['ou_path']}: {_model(row['model'])}, {row['sync_status']} (ID {row['id']})"


def _liveness(agent: Row) -> str:
    sync = agent.get("sync") or {}
    if agent.get("cma_agent_id") is None:
        why = sync.get("why") or sync.get("status")
        return (
            "cma_agent_id is null: the reconciler has not pushed it yet. Wait a few seconds and invoke; if it persists,"
            f" check the sync state for errors (now: {why})."
        )
    if not sync.get("live", True):
        return f"The reconciler will push the changes within a few seconds ({sync.get('why') or sync.get('status')})."
    return "It is live."


def _model(model: object) -> str:
    return str(model.get("id", model)) if isinstance(model, dict) else str(model)


def _names(names: Iterable[object]) -> str:
    return ", ".join(str(name) for name in names) or "none"
