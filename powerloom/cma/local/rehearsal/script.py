"""What comes next, as steps of the scripted model's turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from powerloom.cma.local.model import SCRIPTED, McpTool, calls_made, emit, mcp_call, respond, say
from powerloom.cma.local.rehearsal import phrases
from powerloom.cma.local.rehearsal.conversation import turns_of, what_next
from powerloom.cma.local.rehearsal.obeying import obeyed
from powerloom.cma.types import JSON


def steps_after(events: Iterable[Mapping[str, Any]], go_on: JSON, *, group: str) -> list[JSON]:
    """Return the steps that follow these events. `go_on` is the step that asks, and comes again behind calls; `group`
    tells its calls from others of the turn.
    """
    turns = turns_of(events)
    obeys = go_on.get("obeys", False)
    following = obeyed(turns[-1]) if obeys else what_next(turns)
    says = [text if text.startswith(SCRIPTED) else f"{SCRIPTED} {text}" for text in following.says]
    if following.is_first:
        says.insert(0, f"{SCRIPTED} {phrases.OPENING}")
    tools = {tool["name"]: McpTool(**tool) for tool in go_on["tools"]}
    if obeys:  # it calls what there is not, too
        server = go_on["tools"][0]["server"]
        tools |= {call.name: McpTool(server, call.name, "always_allow") for call in following.calls}
    missing = sorted({call.name for call in following.calls} - tools.keys())
    if missing:
        says.append(f"{SCRIPTED} I would use {', '.join(missing)} now, and was not given it. I stop here.")
    steps: list[JSON] = [{"do": "request"}, emit("agent.thinking"), *(say(text) for text in says)]
    if missing or not following.calls:
        return [*steps, respond(" ".join(says))]
    made = [mcp_call(tools[call.name], dict(call.given)) for call in following.calls]
    return [*steps, *calls_made(made, group), go_on]
