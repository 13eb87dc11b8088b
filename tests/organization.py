"""The development organization of a running product, as its administrator sees it over the API."""

from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.archives import GOOD, zipped
from tests.served import Served
from tests.waiting import until

MODEL = "claude-sonnet-4-6"


@dataclass
class Organization:
    """What is made here is made at the root."""

    running: Served
    users: dict[str, str] = field(default_factory=dict)
    deployments: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root: str = self.get("/ous/tree")[0]["id"]
        self.roles = {role["name"]: role["id"] for role in self.get("/roles")}

    @property
    def api(self) -> httpx.Client:
        return self.running.api

    def get(self, path: str, **query: Any) -> Any:
        return self.api.get(path, params=query).raise_for_status().json()

    def post(self, path: str, **body: Any) -> Any:
        return self.api.post(path, json=body).raise_for_status().json()

    def delete(self, path: str) -> None:
        self.api.delete(path).raise_for_status()

    # People and rights

    def hire(self, name: str) -> str:
        """Make a person without any right."""
        self.users[name] = self.post("/users", email=f"{name}@dev.local", home_ou_id=self.root)["id"]
        return name

    def bind(self, who: str, role: str) -> str:
        """Bind a role, and return the path of the binding."""
        body = {"principal_id": self.users[who], "role_id": self.roles[role], "scope_ou_id": self.root}
        return f"/role-bindings/{self.post('/role-bindings', **body)['id']}"

    # Agents and what they have

    def declare(self, name: str, *, owner: str = "") -> str:
        """Declare an agent, and return its path."""
        said = {"name": name, "display_name": name, "model": MODEL, "system_prompt": "Use what you have."}
        owned = {"owner_principal_id": self.users[owner]} if owner else {}
        return f"/agents/{self.post('/agents', **said, ou_id=self.root, **owned)['id']}"

    def skill(self) -> str:
        """Make a skill with a current version, and return its id."""
        skill = str(self.post("/skills", name="python-lint", display_name="Lint", ou_id=self.root)["id"])
        files = {"file": ("skill.zip", zipped(GOOD), "application/zip")}
        version = self.api.post(f"/skills/{skill}/versions", files=files).raise_for_status().json()["id"]
        self.api.patch(f"/skills/{skill}", json={"current_version_id": version}).raise_for_status()
        return skill

    def deploy(self, template: str, **fields: Any) -> dict[str, Any]:
        """Deploy a template, once, and return it when it runs."""
        if template not in self.deployments:
            named = {"name": template, "display_name": template, "template_kind": template}
            body = {**named, "ou_id": self.root, **fields}
            path = f"/mcp-deployments/{self.post('/mcp-deployments', **body)['id']}"
            until(lambda: self.get(path)["status"] == "running", what=f"{template} to run")
            self.deployments[template] = self.get(path)
        return self.deployments[template]

    def attach(self, agent: str, template: str) -> None:
        """Give the agent a server, and wait until it and its vault are as they should be."""
        server = self.deploy(template)["mcp_server_registration_id"]
        self.post(f"{agent}/mcp-servers", mcp_server_registration_id=server)
        self.await_tools(agent)

    def await_tools(self, agent: str) -> None:
        until(lambda: self._has_tools(agent), what="the agent and its vault on the runtime")

    def credential(self, agent: str) -> dict[str, Any]:
        """Return what the agent has to show to its one server, and how that stands."""
        [server] = self.get(f"{agent}/mcp-servers")
        found: dict[str, Any] = server["credential"]
        return found

    def run(self, agent: str) -> dict[str, Any]:
        """Run the agent until its turn is over, and return the session."""
        until(lambda: self.get(f"{agent}/sync-status")["live"], what="the agent to be live")
        session = f"/sessions/{self.post(f'{agent}/invoke', prompt='Have a look.')['session_id']}"
        until(lambda: self.get(session)["ended_at"], what="the end of the turn")
        found: dict[str, Any] = self.get(session)
        return found

    def _has_tools(self, agent: str) -> bool:
        held = {server["credential"]["status"] for server in self.get(f"{agent}/mcp-servers")}
        return held == {"good"} and bool(self.get(f"{agent}/sync-status")["live"])
