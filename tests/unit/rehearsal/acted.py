"""A small organization in memory that answers the eleven tools, and a conversation with the rehearsal over it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid5

from powerloom.cma.local.model import META_TOOLS
from powerloom.cma.local.rehearsal.script import steps_after

SPACE = UUID(int=7)
TOOLS = [
    {"server": "powerloom-meta", "name": name, "policy": "always_allow", "schema": {}} for name in sorted(META_TOOLS)
]
GO_ON = {"do": "go_on", "tools": TOOLS}

Row = dict[str, Any]


def id_of(name: str) -> str:
    return str(uuid5(SPACE, name))


def ou(path: str, *children: Row) -> Row:
    name = path.rpartition("/")[2]
    return {"id": id_of(path), "name": name, "display_name": name.title(), "path": path, "children": list(children)}


def user(email: str, name: str, home: str) -> Row:
    return {
        "id": id_of(email),
        "principal_id": id_of(email),
        "email": email,
        "name": name,
        "home_ou_id": id_of(home),
        "home_ou_path": home,
        "is_active": True,
    }


def thing(name: str, path: str, description: str = "") -> Row:
    return {
        "id": id_of(name + path),
        "name": name,
        "display_name": name.replace("-", " ").title(),
        "description": description,
        "ou_path": path,
        "current_version_id": id_of("version"),
        "state": "running",
        "tool_count": 3,
    }


class Organization:
    """Answers calls as the API would; `refused` and `held` change what a tool answers."""

    def __init__(self) -> None:
        self.ous = [
            ou("/dev-org", ou("/dev-org/engineering", ou("/dev-org/engineering/platform")), ou("/dev-org/sales"))
        ]
        self.users = [
            user("emma@dev.local", "Emma Sales", "/dev-org/sales"),
            user("erin@dev.local", "Erin Engineer", "/dev-org/engineering"),
        ]
        self.servers = [thing("apollo-mcp", "/dev-org/sales"), thing("gmail-mcp", "/dev-org/sales")]
        self.skills = [
            thing("web-search", "/dev-org/sales", "Search the web for prospects, companies and news."),
            thing("python-lint", "/dev-org/engineering", "Lint Python files for style and error patterns."),
        ]
        self.agents: list[Row] = []
        self.failures: dict[str, Row] = {}
        self.held: dict[str, Row] = {}
        self.calls: list[tuple[str, Row]] = []

    def call(self, name: str, given: Row) -> tuple[str, bool]:
        self.calls.append((name, given))
        if name in self.failures:
            return json.dumps(self.failures[name]), True
        if name in self.held:
            return json.dumps({"status": 202, "held": self.held[name]}), False
        answer: Callable[..., Row] = getattr(self, f"_{name}")
        return json.dumps({"status": 200, **answer(given)}), False

    def _list_ous(self, given: Row) -> Row:
        return {"ous": self.ous}

    def _list_users(self, given: Row) -> Row:
        return self._page("users", self.users, given)

    def _list_skills(self, given: Row) -> Row:
        return self._page("skills", self.skills, given)

    def _list_mcp_servers(self, given: Row) -> Row:
        return self._page("mcp_servers", self.servers, given)

    def _list_agents(self, given: Row) -> Row:
        found = [agent for agent in self.agents if given.get("name") in {None, agent["name"]}]
        return self._page("agents", [one for one in found if given.get("ou_id") in {None, one["ou_id"]}], given)

    def _page(self, kind: str, rows: list[Row], given: Row) -> Row:
        """Pages of two rows, so that a conversation has to turn them."""
        start = int(given.get("cursor") or 0)
        more = str(start + 2) if len(rows) > start + 2 else None
        return {kind: rows[start : start + 2], "next_cursor": more}

    def _describe_user(self, given: Row) -> Row:
        return {"user": next(user for user in self.users if user["email"] == given["email"])}

    def _describe_agent(self, given: Row) -> Row:
        agent = next(agent for agent in self.agents if agent["id"] == given["agent_id"])
        return {"agent": agent}

    def _create_agent(self, given: Row) -> Row:
        paths = {id_of(path): path for path in ("/dev-org", "/dev-org/engineering", "/dev-org/sales")}
        made = {
            **given,
            "id": id_of("agent"),
            "ou_path": paths[given["ou_id"]],
            "cma_agent_id": None,
            "sync_status": "pending",
            "sync": {"status": "pending", "live": False, "why": "it was not pushed yet"},
            "skills": [],
            "mcp_servers": [],
            "owner_ref": "admin@dev.local",
            "invoke": f"POST /agents/{id_of('agent')}/invoke",
        }
        self.agents.append(made)
        return {"agent": made}

    def _attach_skill_to_agent(self, given: Row) -> Row:
        self.agents[-1]["skills"].append({"skill_id": given["skill_id"]})
        return {}

    def _attach_mcp_server_to_agent(self, given: Row) -> Row:
        name = next(row["name"] for row in self.servers if row["id"] == given["mcp_server_registration_id"])
        credential = {"id": None, "why": "no credential"}
        self.agents[-1]["mcp_servers"].append({"name": name, "credential": credential})
        return {}

    def _create_credential(self, given: Row) -> Row:
        name = next(row["name"] for row in self.servers if row["id"] == given["mcp_server_registration_id"])
        server = next(one for one in self.agents[-1]["mcp_servers"] if one["name"] == name)
        server["credential"] = {"id": id_of("credential" + name), "why": ""}
        return {}


class Conversation:
    """Plays both sides: sends messages, makes the calls that the rehearsal asks for, gives it the answers."""

    def __init__(self, organization: Organization) -> None:
        self.organization = organization
        self.events: list[Row] = []

    def say(self, text: str) -> str:
        """Send a message; returns all that was said in answer."""
        self._note("user.message", content=[{"type": "text", "text": text}])
        heard: list[str] = []
        going = True
        while going:
            steps = steps_after(self.events, GO_ON, group=f"{len(self.events)}")
            heard += [step["fields"]["content"][0]["text"] for step in steps if step.get("type") == "agent.message"]
            for step in steps:
                if step["do"] == "use":
                    self._note("agent.mcp_tool_use", id=step["key"], name=step["fields"]["name"])
                elif step["do"] == "mcp":
                    text, failed = self.organization.call(step["name"], step["input"])
                    content = [{"type": "text", "text": text}]
                    self._note("agent.mcp_tool_result", mcp_tool_use_id=step["key"], content=content, is_error=failed)
            going = steps[-1]["do"] == "go_on"
        return "\n".join(heard)

    @property
    def called(self) -> list[str]:
        """The tools called so far, in order."""
        return [name for name, _ in self.organization.calls]

    def _note(self, kind: str, **fields: Any) -> None:
        self.events.append({"type": kind, **fields})
