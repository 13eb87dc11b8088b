"""Talking to an MCP server for the first time, and again: initialize, tools/list, and what is accepted of the answer.

What a foreign server says is text for people and schemas for the runtime, never trusted: bounded in number, size and
depth, and refused in words rather than cut.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any  # Any: a tool's schemas are other people's JSON

from rfc8785 import CanonicalizationError

from powerloom.kernel.canonical import canonical
from powerloom.web.bodies import fault_of_json

if TYPE_CHECKING:
    from powerloom.web.egress import Client

MAX_TOOLS = 128
MAX_TOOL_NAME = 128
MAX_DEFINITION = 64 * 1024  # bytes of its canonical JSON
MAX_DEFINITIONS = 1024 * 1024  # of all together
MOST_ANSWER = 256 * 1024  # characters of an answer that a person is shown
SECONDS = 15.0


@dataclass
class Handshake:
    """What a server answered. `tools` are definitions: name, description, input_schema, output_schema."""

    server_info: dict[str, Any]
    protocol_version: str
    tools: list[dict[str, Any]]


@dataclass(frozen=True)
class Called:
    """What a tool answered: its text, the same as JSON where it has a result schema, and whether that is an error."""

    text: str
    structured: dict[str, Any] | None
    is_error: bool


class HandshakeFailed(Exception):
    """A server could not be talked to. `step` is connect, initialize, tools/list or tools/call; `words` say what was
    answered.

    `wants_token`: it is there, and refused us for lack of a token that it accepts. Holds no secret.
    """

    def __init__(self, step: str, words: str, *, wants_token: bool = False) -> None:
        super().__init__(f"{step}: {words}")
        self.step = step
        self.words = words
        self.wants_token = wants_token


async def shake(url: str, *, client: Client, seconds: float = SECONDS) -> Handshake:
    """Greet the server at the URL and list its tools, over a client that the caller opens and closes.

    Raises `HandshakeFailed`.
    """
    # By name and on a thread: the MCP SDK takes about a second to import, and most processes never need it.
    sdk = await asyncio.to_thread(import_module, "agents.mcp_client")
    found: Handshake = await sdk.shake(url, client, seconds)
    return found


async def call(url: str, name: str, arguments: dict[str, Any], *, client: Client, seconds: float) -> Called:
    """Call one tool of the server at the URL, over a client that the caller opens and closes.

    Raises `HandshakeFailed`.
    """
    sdk = await asyncio.to_thread(import_module, "agents.mcp_client")  # as above
    found: Called = await sdk.call(url, client, seconds, name, arguments)
    return found


def accepted(tools: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the definitions when all of them are within bounds. Raises `HandshakeFailed`."""
    found, names, total = list(tools), set[str](), 0
    if len(found) > MAX_TOOLS:
        raise HandshakeFailed("tools/list", f"it has more than {MAX_TOOLS} tools")
    for number, tool in enumerate(found, start=1):
        total += _checked(tool, number)
        if tool["name"] in names:
            raise HandshakeFailed("tools/list", f"it lists the tool {tool['name']} twice")
        names.add(tool["name"])
    if total > MAX_DEFINITIONS:
        raise HandshakeFailed("tools/list", f"its definitions have more than {MAX_DEFINITIONS} bytes together")
    return found


def _checked(tool: dict[str, Any], number: int) -> int:
    """Return the size of a definition."""
    name = tool["name"]
    if not 1 <= len(name) <= MAX_TOOL_NAME or not name.isprintable() or name != name.strip():
        words = f"the name of its tool {number} is empty, over {MAX_TOOL_NAME} characters, or not printable"
        raise HandshakeFailed("tools/list", words)
    if fault := fault_of_json(tool):
        raise HandshakeFailed("tools/list", f"the definition of its tool {name} cannot be kept: {fault}")
    try:
        size = len(canonical(tool))
    except CanonicalizationError as error:
        words = f"the definition of its tool {name} cannot be kept: a number in it is not exact"
        raise HandshakeFailed("tools/list", words) from error
    if size > MAX_DEFINITION:
        words = f"the definition of its tool {name} has {size} bytes, more than {MAX_DEFINITION}"
        raise HandshakeFailed("tools/list", words)
    return size
