"""The kinds of things by the names that people give them, and finding one by id, path or name.

weave get agents --ou /acme/engineering
weave describe agent /acme/engineering/code-reviewer
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any  # JSON

from powerloom.cli.client import Client
from powerloom.cli.render import Column, moment
from powerloom.cli.verbs import Failed

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True)
class Kind:
    """One kind of thing. `by_ou` is the filter that means exactly one OU; `named` what its name is called."""

    name: str
    plural: str
    path: str
    columns: tuple[Column, ...]
    by_ou: str = "ou_id"
    named: str = "name"


NAME: Column = ("name", "name")
OU: Column = ("ou", "ou_path")
SYNC: Column = ("sync", "sync_status")
ID: Column = ("id", "id")

KINDS = (
    Kind("ou", "ous", "/ous", (("path", "path"), ("display name", "display_name"), ID)),
    Kind(
        "user",
        "users",
        "/users",
        (("email", "email"), NAME, ("home", "home_ou_path"), ("active", "is_active"), ID),
        by_ou="home_ou_id",
        named="email",
    ),
    Kind("group", "groups", "/groups", (NAME, ("display name", "display_name"), OU, ID)),
    Kind(
        "role",
        "roles",
        "/roles",
        (NAME, ("built in", "is_builtin"), ("actions", lambda row: len(row["actions"])), ID),
        by_ou="",
    ),
    Kind(
        "role-binding",
        "role-bindings",
        "/role-bindings",
        (
            ("principal", "principal_ref"),
            ("role", "role"),
            ("decision", "decision_type"),
            ("scope", "scope_ou_path"),
            moment("expires_at"),
            ID,
        ),
        by_ou="scope_ou_id",
        named="",
    ),
    Kind(
        "agent",
        "agents",
        "/agents",
        (NAME, OU, ("model", lambda row: _model(row["model"])), ("version", "version"), SYNC, ID),
    ),
    Kind("skill", "skills", "/skills", (NAME, OU, ("type", "skill_type"), SYNC, ID)),
    Kind(
        "mcp-server",
        "mcp-servers",
        "/mcp-servers",
        (NAME, OU, ("url", "url"), ("state", "state"), ("tools", "tool_count"), ID),
    ),
    Kind(
        "mcp-deployment",
        "mcp-deployments",
        "/mcp-deployments",
        (NAME, OU, ("template", "template_kind"), ("status", "status"), ("why", "status_reason"), ID),
    ),
    Kind(
        "credential",
        "credentials",
        "/credentials",
        (("agent", "agent_id"), ("server", "mcp_server_registration_id"), ("source", "source"), SYNC, ID),
        by_ou="",
        named="",
    ),
    Kind(
        "secret", "secrets", "/secrets", (NAME, OU, ("kind", "kind"), ("version", "version"), moment("rotated_at"), ID)
    ),
    Kind(
        "approval-policy",
        "approval-policies",
        "/approval-policies",
        (NAME, ("scope", "scope_ou_path"), ("action", "action_pattern"), ("quorum", "quorum"), ("on", "is_on"), ID),
    ),
    Kind(
        "session",
        "sessions",
        "/sessions",
        (
            ("title", lambda row: row["title"] or row["prompt"][:60]),
            ("agent", "agent_name"),
            ("status", "status"),
            ("by", "invoked_by"),
            moment("started_at"),
            ID,
        ),
        named="",
    ),
    Kind("webhook", "webhooks", "/webhooks", (NAME, ("url", "url"), ID), by_ou=""),
)
BY_WORD = {word: kind for kind in KINDS for word in (kind.name, kind.plural)}


def kind_of(word: str) -> Kind:
    """Return the kind that a word means, one or many. Raises `Failed`."""
    kind = BY_WORD.get(word.lower().replace("_", "-"))
    if kind is None:
        raise Failed(f"There is no kind {word}. There are: {', '.join(known.plural for known in KINDS)}.", exit_code=2)
    return kind


def words(incomplete: str) -> list[str]:
    """Return the words for kinds that begin so, for completion."""
    return [kind.plural for kind in KINDS if kind.plural.startswith(incomplete)]


def ou_of(api: Client, path: str) -> dict[str, Any]:
    """Return the OU at a path. Raises `Failed` when it is absent or out of sight."""
    wanted = "/" + path.strip("/")
    found = _in_tree(api.rows("/ous/tree"), wanted)
    if found is None:
        raise Failed(f"There is no OU {wanted} that you can see. List them with: weave get ous")
    return found


def find(api: Client, word: str, reference: str) -> dict[str, Any]:
    """Return one thing by id, by path (`/acme/engineering/code-reviewer`) or by a name that only one has.

    Raises `Failed` when none or more than one is meant.
    """
    kind = kind_of(word)
    if UUID.fullmatch(reference):
        return _row(api.get(f"{kind.path}/{reference.lower()}"))
    if kind.name == "ou":
        return _row(api.get(f"/ous/{ou_of(api, reference)['id']}"))
    if not kind.named:
        raise Failed(f"Name a {kind.name} by its id. List them with: weave get {kind.plural}", exit_code=2)
    where, _, name = reference.rpartition("/")
    query: dict[str, Any] = {kind.named: name}  # a list that cannot look for it answers whole
    if where and kind.by_ou:
        query[kind.by_ou] = ou_of(api, where)["id"]
    found = [row for row in api.rows(kind.path, **query) if row[kind.named] == name]
    if len(found) == 1:
        return _row(api.get(f"{kind.path}/{found[0]['id']}"))
    if found:
        places = ", ".join(str(row.get("ou_path") or row.get("scope_ou_path") or row["id"]) for row in found)
        raise Failed(f"More than one {kind.name} is called {name}: in {places}. Give its path or its id.")
    raise Failed(f"There is no {kind.name} {reference} that you can see. List them with: weave get {kind.plural}")


def _row(found: Any) -> dict[str, Any]:
    row: dict[str, Any] = found
    return row


def _in_tree(nodes: list[dict[str, Any]], wanted: str) -> dict[str, Any] | None:
    for node in nodes:
        if str(node["path"]).rstrip("/") == wanted:
            return node
        if wanted.startswith(f"{str(node['path']).rstrip('/')}/"):
            return _in_tree(node["children"], wanted)
    return None


def _model(model: Mapping[str, Any] | str) -> str:
    return model if isinstance(model, str) else str(model.get("id", model))
