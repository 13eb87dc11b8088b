"""The scripted model: what an agent "does" in one turn, decided before the turn starts.

Pure and deterministic: the same prompt to the same agent in the same turn gives the same script. It thinks, says,
uses the tools it is allowed and sums up, and it says that it is a script. Built-in tools are only pretended: nothing
is run, opened or fetched.

A script is a list of steps, each plain JSON so that it can be stored and gone on with after a restart:

    request   span.model_request_start
    emit      one event of `type` with `fields`
    burst     `count` messages, one every `every` seconds
    use       a tool call, remembered under `key`; waits for the client if it is asked about or is the client's own
    respond   span.model_request_end with its `usage`
    settle    go idle (`requires_action`) until every call since the last settle that needs the client is answered
    result    the answer of the built-in call `key`: `text`, or that it was denied
    mcp       the answer of the MCP call `key`, by really calling it
    go_on     decide what comes next from the session so far, and put it behind this step
    wait      nothing, for `seconds`
    reschedule, resume    an interruption of the service, and its end
    stop      the turn is over, for `reason`
    terminate the session is over

Words in brackets at the start of a prompt steer it: see `powerloom.cma.local.wishes`. An agent that has the tools of
`powerloom_meta` does not follow a script but what it is asked: see `powerloom.cma.local.rehearsal`.
"""

import hashlib
import random
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from powerloom.cma.local.examples import example
from powerloom.cma.local.wishes import Wishes, wishes
from powerloom.cma.types import JSON

SCRIPTED = "[scripted local model]"
MOST_EVENTS = 100_000
MOST_SECONDS = 3600.0
QUOTED = 120
MOST_MCP_CALLS, MOST_OF_A_SERVER = 6, 2

BUILT_IN = ("bash", "edit", "read", "write", "glob", "grep", "web_fetch", "web_search")
ACTS: dict[str, list[tuple[JSON, str]]] = {
    "bash": [
        ({"command": "git log --oneline -5"}, "f3a91c2 tidy imports\n88d1e04 add retry to client\n0b7c6aa first draft"),
        ({"command": "python -m pytest -q"}, "........................\n24 passed in 1.83s"),
    ],
    "read": [
        ({"file_path": "/workspace/README.md"}, "# Example\n\nA small service with a client and a worker."),
        ({"file_path": "/workspace/client.py"}, "import time\n\ndef fetch(url, tries=3):\n    ..."),
    ],
    "grep": [({"pattern": "sleep", "path": "/workspace"}, "client.py:14:    time.sleep(1)")],
    "glob": [({"pattern": "**/*.py"}, "client.py\nworker.py\ntests/test_client.py")],
    "edit": [
        ({"file_path": "/workspace/client.py", "old_string": "tries=3", "new_string": "tries=5"}, "1 change made")
    ],
    "write": [({"file_path": "/workspace/NOTES.md", "content": "Notes of the scripted model"}, "27 bytes written")],
    "web_search": [({"query": "exponential back-off jitter"}, "3 results (made up)")],
    "web_fetch": [({"url": "https://example.com/"}, "Example Domain (made up, nothing was fetched)")],
}
THOUGHTS = (
    "I will look at what is there first, then act, then sum up.",
    "Before changing anything I want to see the facts.",
    "Small steps: look, check, answer.",
)


@dataclass(frozen=True)
class McpTool:
    """A tool that an attached MCP server offered and the agent may use."""

    server: str
    name: str
    policy: str
    schema: JSON = field(default_factory=dict)


def script(prompt: str, agent: JSON, *, turn: int, mcp: list[McpTool], obeys: bool = False) -> list[JSON]:
    """The steps of one turn of `agent` on `prompt`; `turn` tells turns apart. `obeys`: see `rehearsal.obeying`."""
    wish = wishes(prompt)
    count = wish.number("events", MOST_EVENTS)
    if count is not None:
        steps = _burst(wish, int(count))
    elif is_meta(mcp) and "nomcp" not in wish.flags:
        steps = [{"do": "go_on", "tools": [asdict(tool) for tool in mcp], "obeys": obeys}]
    else:
        steps = _story(wish, agent, turn, mcp)
    if "reschedule" in wish.flags:
        steps[:0] = [{"do": "reschedule"}, {"do": "resume"}]
    seconds = wish.number("slow", MOST_SECONDS)
    if seconds:
        steps.append({"do": "wait", "seconds": seconds})
    return [*steps, *_ending(wish.flags)]


META_TOOLS = frozenset(
    {
        "list_ous",
        "list_users",
        "list_skills",
        "list_mcp_servers",
        "list_agents",
        "describe_user",
        "describe_agent",
        "create_agent",
        "attach_skill_to_agent",
        "attach_mcp_server_to_agent",
        "create_credential",
    }
)


def is_meta(tools: list[McpTool]) -> bool:
    """Tell whether these are the tools of `powerloom_meta`, or what a policy left of them."""
    names = {tool.name for tool in tools}
    return "list_ous" in names and names <= META_TOOLS


def _burst(wish: Wishes, count: int) -> list[JSON]:
    rate = wish.number("rate", MOST_EVENTS)
    every = 1 / rate if rate else None
    return [{"do": "request"}, {"do": "burst", "count": count, "every": every}, respond("x" * count)]


def _story(wish: Wishes, agent: JSON, turn: int, mcp: list[McpTool]) -> list[JSON]:
    chance = _chance(wish.text, agent["name"], turn)
    acts = _acts(chance, allowed_tools(agent))
    if "ask" in wish.flags and acts:
        acts[0] = {**acts[0], "policy": "always_ask"}
    remote = [] if "nomcp" in wish.flags else [mcp_call(tool, example(tool.schema)) for tool in _of_each_server(mcp)]
    customs = [_custom_call(tool) for tool in agent["tools"] if tool["type"] == "custom"][:1]
    steps = [
        {"do": "request"},
        emit("agent.thinking"),
        say(
            f"{SCRIPTED} I am {agent['name']}, played by a script: no model is running and built-in tools are "
            f"only pretended. You wrote: “{_quote(wish.text)}”. {chance.choice(THOUGHTS)}"
        ),
        *calls_made(acts[:1], "first"),
    ]
    if more := [*acts[1:], *remote, *customs]:
        steps += [{"do": "request"}, emit("agent.thinking"), *calls_made(more, "more")]
    used = [call["name"] for call in [*acts, *remote, *customs]]
    closing = _closing(used, agent)
    return [*steps, {"do": "request"}, emit("agent.thinking"), say(closing), respond(closing)]


def allowed_tools(agent: JSON) -> list[tuple[str, str]]:
    """The built-in tools that are switched on, each with its policy, in their fixed order."""
    for toolset in agent["tools"]:
        if toolset["type"] == "agent_toolset_20260401":
            own = {config["name"]: config for config in toolset["configs"]}
            settings = [(name, own.get(name, toolset["default_config"])) for name in BUILT_IN]
            return [(name, config["permission_policy"]["type"]) for name, config in settings if config["enabled"]]
    return []


def _acts(chance: random.Random, tools: list[tuple[str, str]]) -> list[JSON]:
    """Up to three pretended calls of different tools."""
    chosen = chance.sample(tools, min(3, len(tools)))
    acts = []
    for name, policy in chosen:
        given, text = chance.choice(ACTS[name])
        fields = {"name": name, "input": given}
        acts.append(
            {"name": name, "type": "agent.tool_use", "fields": fields, "policy": policy, "text": f"{SCRIPTED} {text}"}
        )
    return acts


def _of_each_server(tools: list[McpTool]) -> list[McpTool]:
    """The first tools of every server, one of each in turn, so that none goes unused beside a large one."""
    places: Counter[str] = Counter()
    ranked = []
    for tool in tools:
        ranked.append((places[tool.server], tool))
        places[tool.server] += 1
    first = [(place, tool) for place, tool in ranked if place < MOST_OF_A_SERVER]
    return [tool for _, tool in sorted(first, key=lambda one: one[0])][:MOST_MCP_CALLS]


def mcp_call(tool: McpTool, given: JSON) -> JSON:
    """A call of an MCP server's tool."""
    fields = {"mcp_server_name": tool.server, "name": tool.name, "input": given}
    return {"name": f"{tool.server}.{tool.name}", "type": "agent.mcp_tool_use", "fields": fields, "policy": tool.policy}


def _custom_call(tool: JSON) -> JSON:
    fields = {"name": tool["name"], "input": example(tool["input_schema"])}
    return {"name": tool["name"], "type": "agent.custom_tool_use", "fields": fields, "policy": None}


def calls_made(calls: list[JSON], group: str) -> list[JSON]:
    """The steps for calls made in one request: use them, end the request, settle, give results."""
    keys = [f"{group}-{place}" for place in range(len(calls))]
    uses = [_use(key, call) for key, call in zip(keys, calls, strict=True)]
    steps: list[JSON] = [*uses, respond(" ".join(call["name"] for call in calls))]
    if not calls:
        return steps
    results = [_result(key, call) for key, call in zip(keys, calls, strict=True)]
    return [*steps, {"do": "settle", "keys": keys}, *(step for step in results if step)]


def _use(key: str, call: JSON) -> JSON:
    fields = dict(call["fields"])
    if call["policy"] is not None:
        asked = call["policy"] == "always_ask"
        evaluation: JSON = {"type": call["policy"]}
        if call["policy"] == "auto":
            evaluation["evaluated_permission"] = {"type": "allow"}
        fields |= {"evaluated_permission": "ask" if asked else "allow", "evaluation": evaluation}
    return {"do": "use", "key": key, "type": call["type"], "fields": fields}


def _result(key: str, call: JSON) -> JSON | None:
    match call["type"]:
        case "agent.tool_use":
            return {"do": "result", "key": key, "text": call["text"]}
        case "agent.mcp_tool_use":
            fields = call["fields"]
            return {
                "do": "mcp",
                "key": key,
                "server": fields["mcp_server_name"],
                "name": fields["name"],
                "input": fields["input"],
            }
    return None  # a custom tool's result is the client's own event


def _ending(flags: frozenset[str]) -> list[JSON]:
    if "terminate" in flags:
        return [_error("unknown_error", "terminal"), {"do": "terminate"}]
    if "fail" in flags:
        return [_error("model_request_failed_error", "exhausted"), _stop("retries_exhausted")]
    if "refuse" in flags:
        return [_stop("refusal")]
    if "budget" in flags:
        return [_stop("budget_reached")]
    return [_stop("end_turn")]


def _stop(reason: str) -> JSON:
    return {"do": "stop", "reason": reason}


def _error(kind: str, retry: str) -> JSON:
    error = {"type": kind, "message": f"{SCRIPTED} The prompt asked for this.", "retry_status": {"type": retry}}
    return emit("session.error", error=error)


def emit(kind: str, **fields: Any) -> JSON:
    """A step that writes one event."""
    return {"do": "emit", "type": kind, "fields": fields}


def say(text: str) -> JSON:
    """A step that says something."""
    return emit("agent.message", content=[{"type": "text", "text": text}])


def respond(said: str) -> JSON:
    """The end of a model request. Tokens are made up, but in proportion to what was said."""
    return {
        "do": "respond",
        "usage": {
            "input_tokens": 400 + len(said),
            "output_tokens": 20 + len(said) // 4,
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 0,
        },
    }


def _closing(used: list[str], agent: JSON) -> str:
    tools = f"I used {', '.join(used)}" if used else "I had no tools to use"
    skills = [skill["skill_id"] for skill in agent["skills"]]
    known = f" Skills at hand: {', '.join(skills)}." if skills else ""
    return f"{SCRIPTED} Done. {tools}.{known} A real model would now give you its findings."


def _quote(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= QUOTED else line[: QUOTED - 1] + "…"


def _chance(*seed: object) -> random.Random:
    digest = hashlib.sha256(repr(seed).encode()).digest()
    return random.Random(digest)  # noqa: S311 - a repeatable choice is the point
