"""Rights are taken away while the whole product runs: agent and session stop relying on them within seconds."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from powerloom.kernel.tls import trust
from tests.archives import GOOD, zipped
from tests.served import Served, served
from tests.waiting import until

pytestmark = pytest.mark.sqlite_only

SECONDS = 30  # a look every 2 s, then one push or one interrupt; a busy machine is slower
OWNED = "linter"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("lost")) as started:
        yield started


class Organization:
    """The development organization, as its administrator sees it."""

    def __init__(self, api: httpx.Client) -> None:
        self.api = api
        self.root = self.get("/ous/tree")[0]
        self.roles = {role["name"]: role["id"] for role in self.get("/roles")}
        self.users: dict[str, str] = {}

    def get(self, path: str) -> Any:
        return self.api.get(path).raise_for_status().json()

    def post(self, path: str, **body: Any) -> Any:
        return self.api.post(path, json=body).raise_for_status().json()

    def hire(self, name: str) -> str:
        """Make a person without any right."""
        self.users[name] = self.post("/users", email=f"{name}@dev.local", home_ou_id=self.root["id"])["id"]
        return name

    def bind(self, who: str, role: str) -> str:
        """Bind a role at the root."""
        body = {"principal_id": self.users[who], "role_id": self.roles[role], "scope_ou_id": self.root["id"]}
        return str(self.post("/role-bindings", **body)["id"])

    def unbind(self, binding_id: str) -> None:
        self.api.delete(f"/role-bindings/{binding_id}").raise_for_status()


def test_the_runtimes_agent_loses_the_skill_with_the_right_and_has_it_again(running: Served) -> None:
    acme = Organization(running.api)
    owner, skill = acme.hire("owner"), _skill(acme)
    right = acme.bind(owner, "SkillUser")
    agent = f"/agents/{_agent(acme, owner)}"
    acme.post(f"{agent}/skills", skill_id=skill)
    until(lambda: len(_on_runtime(running)) == 1, what="the skill on the agent")
    acme.unbind(right)
    until(lambda: _on_runtime(running) == [], within=SECONDS, what="the skill gone from the agent")
    assert [told["skill_id"] for told in acme.get(agent)["withheld_skills"]] == [skill]
    acme.bind(owner, "SkillUser")
    until(lambda: len(_on_runtime(running)) == 1, within=SECONDS, what="the skill on the agent again")
    until(lambda: acme.get(f"{agent}/sync-status")["live"], what="the agent to be live again")
    assert acme.get(agent)["withheld_skills"] == []


def test_a_running_session_stops_when_its_invoker_may_no_longer_invoke(running: Served) -> None:
    acme = Organization(running.api)
    invoker = acme.hire("invoker")
    right = acme.bind(invoker, "AgentOperator")
    with running.product.client(f"{invoker}@dev.local") as theirs:
        body = {"prompt": "[events=200 rate=5] count"}
        session = theirs.post(f"/agents/{running.agent_id}/invoke", json=body).raise_for_status().json()["session_id"]
    path = f"/sessions/{session}"
    until(lambda: acme.get(path)["event_count"] > 3, what="the first events")
    acme.unbind(right)
    until(lambda: acme.get(path)["status"] == "idle_end_turn", within=SECONDS, what="the end of the turn")
    assert acme.get(path)["event_count"] < 200


def _agent(acme: Organization, owner: str) -> str:
    said = {"name": OWNED, "display_name": OWNED, "model": "claude-sonnet-4-6", "system_prompt": "Lint."}
    return str(acme.post("/agents", **said, ou_id=acme.root["id"], owner_principal_id=acme.users[owner])["id"])


def _skill(acme: Organization) -> str:
    named = {"name": "python-lint", "display_name": "Lint", "ou_id": acme.root["id"]}
    skill_id = str(acme.post("/skills", **named)["id"])
    files = {"file": ("skill.zip", zipped(GOOD), "application/zip")}
    version = acme.api.post(f"/skills/{skill_id}/versions", files=files).raise_for_status().json()["id"]
    acme.api.patch(f"/skills/{skill_id}", json={"current_version_id": version}).raise_for_status()
    return skill_id


def _on_runtime(running: Served) -> list[str]:
    """Ask the runtime itself which skills the agent has."""
    headers = {"x-api-key": running.runtime.key, "anthropic-beta": "managed-agents-2026-04-01"}
    answer = httpx.get(
        f"{running.runtime.url}/v1/agents", headers=headers, trust_env=False, verify=trust()
    ).raise_for_status()
    return [skill["skill_id"] for agent in answer.json()["data"] if agent["name"] == OWNED for skill in agent["skills"]]
