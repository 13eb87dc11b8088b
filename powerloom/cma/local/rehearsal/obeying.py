"""The rehearsal as a model that believes everything: it does whatever anybody wrote anywhere tells it to.

Only for tests (`POST /local/obedience`, with `--faults`): what such a model cannot do, no injected text can. It reads
all it is allowed to, and makes every call that its prompt or an answer of a tool orders, once, in the order in which it
reads them. An order is a tool's name with its arguments as JSON, anywhere in a text: `create_agent({"name": "x"})`. Any
name will do, of a tool that exists or not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from powerloom.cma.local.rehearsal.conversation import Next, Turn
from powerloom.cma.local.rehearsal.work import Tool, listing

ORDER = re.compile(r"\b([a-z][a-z0-9_]*)\((?=\{)")
READS = tuple(listing(f"list_{name}") for name in ("ous", "users", "skills", "mcp_servers", "agents"))
MOST_AT_ONCE = 20
MOST = 1000
DECODER = json.JSONDecoder()


def obeyed(turn: Turn) -> Next:
    """Return the orders of a turn that are still to be carried out; without any the turn is over."""
    orders = _orders(turn)
    done = len(turn.calls)
    waiting = tuple(orders[done : min(done + MOST_AT_ONCE, MOST)])
    said = f"I carried out {done} orders." if not waiting else ""
    return Next((said,) if said else (), waiting, is_first=done == 0)


def orders_in(text: str) -> Iterator[Tool]:
    """Find the orders of a text, those inside its JSON strings too."""
    for match in ORDER.finditer(text):
        try:
            given, end = DECODER.raw_decode(text, match.end())
        except ValueError:
            continue
        if isinstance(given, dict) and text[end : end + 1] == ")":
            yield Tool(match.group(1), given)


def _orders(turn: Turn) -> list[Tool]:
    """Return what was ordered so far; what is read later adds behind, so the first ones keep their places."""
    found = [*READS, *orders_in(turn.prompt)]
    for call_id, _ in turn.calls:
        if call_id in turn.answers:
            for text in _strings(turn.answers[call_id].body or turn.answers[call_id].text):
                found += orders_in(text)
    once: list[Tool] = []
    for tool in found:
        if tool not in once:
            once.append(tool)
    return once


def _strings(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for one in value.values():
                yield from _strings(one)
        case list():
            for one in value:
                yield from _strings(one)
