"""The meta-agent, set up through the public API as anybody would: deploy, create, attach, give a credential.

Done twice it changes nothing the second time. What is there already is taken as it is; only what was named for this
run is brought to what was named.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any  # JSON of the API

import httpx

from powerloom.run.meta_prompt import PROMPT

NAME = "powerloom-meta"
DISPLAY_NAME = "Powerloom Meta"
MODEL = "claude-opus-4-6"
KIND = "powerloom_meta"
POLL_SECONDS = 0.25
HELD = 202
OFF = {"enabled": False}
# It works through Powerloom alone.
TOOLS = dict.fromkeys(("bash", "edit", "read", "write", "glob", "grep", "web_fetch", "web_search"), OFF)

JSON = dict[str, Any]


class BootstrapFailed(Exception):
    """A step was refused, held or not done in time; the message says what to do."""


@dataclass(frozen=True)
class Wanted:
    """What to set up. None means the default for a new agent, and what there is for one that exists."""

    ou_path: str
    name: str = NAME
    display_name: str | None = None
    model: str | None = None
    system_prompt: str | None = None


class Bootstrap:
    """Works with a client that is signed in as the admin. `say` is told of every step; `patience` is in seconds, for
    the deployment and for the reconciler each.
    """

    def __init__(self, api: httpx.Client, say: Callable[[str], None], *, patience: float = 25.0) -> None:
        self._api = api
        self._say = say
        self._patience = patience

    def run(self, wanted: Wanted) -> JSON:
        """Set it up and return the agent as the API shows it. Raises `BootstrapFailed`, and what httpx raises."""
        ou_id = self._ou(wanted.ou_path)
        deployment = self._deployed(wanted, ou_id)
        agent = self._agent(wanted, ou_id)
        reference = {"mcp_server_registration_id": deployment["mcp_server_registration_id"]}
        if not any(server.items() >= reference.items() for server in agent["mcp_servers"]):
            self._call("POST", f"/agents/{agent['id']}/mcp-servers", json=reference)
            self._say(f"attached {deployment['name']} to {agent['name']}")
        credential = self._call("POST", "/credentials", json={"agent_id": agent["id"], **reference})
        self._say(f"credential {credential['id']} lists its tools; each session is given one of its own")
        return self._live(agent)

    def _ou(self, path: str) -> str:
        level, wanted = self._call("GET", "/ous/tree"), path.rstrip("/")
        while level:
            if found := next((node for node in level if node["path"] == wanted), None):
                return str(found["id"])
            level = [child for node in level for child in node["children"]]
        raise BootstrapFailed(f"There is no OU {wanted}. Name one with --ou-path, as /acme/platform.")

    def _deployed(self, wanted: Wanted, ou_id: str) -> JSON:
        row = self._named("/mcp-deployments", wanted.name, ou_id)
        if row is None:
            shown = wanted.display_name or DISPLAY_NAME
            body = {"name": wanted.name, "display_name": shown, "ou_id": ou_id, "template_kind": KIND}
            row = self._call("POST", "/mcp-deployments", json=body)
            self._say(f"deployed {KIND} as {wanted.name}")
        elif row["template_kind"] != KIND:
            raise BootstrapFailed(
                f"{wanted.name} in {wanted.ou_path} is a deployment of {row['template_kind']}. Choose another --name."
            )
        path = f"/mcp-deployments/{row['id']}"
        if row["status"] == "failed":
            self._call("POST", f"{path}/retry")
        return self._until(
            path,
            is_there=lambda row: row["status"] == "running",
            has_failed=lambda row: row["status"] == "failed",
            words=lambda row: f"{row['name']} is {row['status']}. {row['status_reason']}".strip(),
        )

    def _agent(self, wanted: Wanted, ou_id: str) -> JSON:
        row = self._named("/agents", wanted.name, ou_id)
        if row is None:
            body = {
                "name": wanted.name,
                "display_name": wanted.display_name or DISPLAY_NAME,
                "description": "Provisions governed agents from a conversation, with the rights of its user.",
                "ou_id": ou_id,
                "model": wanted.model or MODEL,
                "system_prompt": wanted.system_prompt or PROMPT,
                "tools": TOOLS,
                "agent_kind": "user",
            }
            made: JSON = self._call("POST", "/agents", json=body)
            self._say(f"created agent {wanted.name} in {wanted.ou_path}; id {made['id']}")
            return made
        named = {
            "display_name": wanted.display_name,
            "model": wanted.model,
            "system_prompt": wanted.system_prompt,
        }
        changes = {name: value for name, value in named.items() if value is not None and row[name] != value}
        if changes:
            self._call("PATCH", f"/agents/{row['id']}", json=changes)
            self._say(f"changed {', '.join(changes)} of {wanted.name}")
        found: JSON = self._call("GET", f"/agents/{row['id']}")
        return found

    def _live(self, agent: JSON) -> JSON:
        return self._until(
            f"/agents/{agent['id']}",
            is_there=lambda row: row["sync"]["live"],
            has_failed=lambda row: row["sync_status"] == "parked",
            words=lambda row: row["sync"]["why"] or f"live as {row['cma_agent_id']}",
        )

    def _until(
        self,
        path: str,
        *,
        is_there: Callable[[JSON], bool],
        has_failed: Callable[[JSON], bool],
        words: Callable[[JSON], str],
    ) -> JSON:
        told, give_up = "", time.monotonic() + self._patience
        while True:
            row: JSON = self._call("GET", path)
            if words(row) != told:
                told = words(row)
                self._say(told)
            if is_there(row):
                return row
            if has_failed(row) or time.monotonic() >= give_up:
                raise BootstrapFailed(told)
            time.sleep(POLL_SECONDS)

    def _named(self, path: str, name: str, ou_id: str) -> JSON | None:
        rows = self._call("GET", path, params={"name": name, "ou_id": ou_id})
        return next(iter(rows), None)

    def _call(self, method: str, path: str, **options: Any) -> Any:
        answer = self._api.request(method, path, **options)
        if answer.status_code == HELD:
            raise BootstrapFailed(f"{answer.json()['message']} Run this again once it is approved.")
        if answer.is_error:
            raise BootstrapFailed(f"{method} {path}: API returned {answer.status_code}: {_message(answer)}")
        return answer.json() if answer.content else None


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:500]
