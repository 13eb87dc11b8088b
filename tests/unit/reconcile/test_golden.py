"""From spec to document to what CMA is sent, and back: each file of tests/golden is one case, read by people."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from accounts.models import Organization
from agents.drivers.agents import AgentDriver, Shelf, wanted
from agents.drivers.environment import EnvironmentDriver
from agents.drivers.environment import wanted as wanted_environment
from agents.drivers.servers import Reach
from agents.models import Agent, AgentVersion
from agents.spec import AgentSpec
from powerloom.kernel.canonical import digest
from powerloom.reconcile.driver import Job, Wanted
from powerloom.reconcile.models import SyncState
from powerloom.reconcile.push import judge
from powerloom.reconcile.result import Done, Odd, Remote

GOLDEN = Path(__file__).parent.parent.parent / "golden"
ORGANIZATION = UUID("00000000-0000-7000-8000-000000000001")
AGENT = UUID("00000000-0000-7000-8000-000000000002")
LINT, LINT_V2 = UUID("00000000-0000-7000-8000-000000000010"), UUID("00000000-0000-7000-8000-000000000012")
TYPES, TYPES_V1 = UUID("00000000-0000-7000-8000-000000000020"), UUID("00000000-0000-7000-8000-000000000021")
FILES, DOCS = UUID("00000000-0000-7000-8000-000000000040"), UUID("00000000-0000-7000-8000-000000000041")
FRESH, GONE = UUID("00000000-0000-7000-8000-000000000042"), UUID("00000000-0000-7000-8000-000000000043")
SHELF = Shelf(
    names={LINT: "python-lint", TYPES: "python-types"},
    current={LINT: LINT_V2, TYPES: None},
    contents={LINT_V2: "1" * 64, TYPES_V1: "2" * 64},
    servers={
        FILES: Reach("repo-files", "https://fleet.test/mcp/1/mcp", ("list", "read", "write")),
        DOCS: Reach("docs", "https://docs.test/mcp"),
        FRESH: Reach("fresh", "https://fleet.test/mcp/2/mcp", missing="MCP server fresh: its deployment is deploying"),
    },
)
REMOTES = {
    ("environment", ORGANIZATION): Remote("env_1"),
    ("skill", LINT): Remote("skill_lint"),
    ("skill_version", LINT_V2): Remote("skver_lint_2"),
    ("skill", TYPES): Remote("skill_types"),
    ("skill_version", TYPES_V1): Remote("skver_types_1"),
}


def cases(folder: str) -> list[Any]:
    files = sorted((GOLDEN / folder).glob("*.json"))
    return [pytest.param(json.loads(file.read_text()), id=file.stem) for file in files]


def agent_wanted(spec: dict[str, Any]) -> Wanted:
    version = AgentVersion(agent=Agent(id=AGENT, organization_id=ORGANIZATION), number=1)
    return wanted(version, AgentSpec.model_validate(spec), SHELF)


def job(asked: Wanted, actual: Any = None) -> Job:
    state = SyncState(kind="agent", object_id=asked.id, organization_id=ORGANIZATION, actual=actual)
    return Job(state, asked, digest(asked.document), stamp="the stamp", remotes=REMOTES)


def echoed(payload: dict[str, Any]) -> dict[str, Any]:
    """What CMA answers to a create: the same, with what it adds by itself."""
    model = {"effort": {"type": "high"}, **payload["model"]}
    if isinstance(model["effort"], str):
        model["effort"] = {"type": model["effort"]}
    tools = [
        {**tool, "configs": [{"type": config["name"], **config} for config in tool["configs"]]}
        if tool["type"] == "agent_toolset_20260401"
        else tool
        for tool in payload["tools"]
    ]
    skills = [{"version": "latest", **skill} for skill in payload["skills"]]
    answer = {**payload, "model": model, "tools": tools, "skills": skills}
    return {"id": "agent_1", "type": "agent", "version": 1, "updated_at": "t", "archived_at": None, **answer}


@pytest.mark.parametrize("case", cases("agents"))
def test_a_spec_becomes_this_document(case: dict[str, Any]) -> None:
    assert agent_wanted(case["spec"]).document == case["document"]


@pytest.mark.parametrize("case", cases("agents"))
def test_a_document_becomes_this_payload(case: dict[str, Any]) -> None:
    assert AgentDriver().payload(job(agent_wanted(case["spec"]))) == case["payload"]


@pytest.mark.parametrize("case", cases("agents"))
def test_what_cma_answers_hashes_as_what_was_sent(case: dict[str, Any]) -> None:
    sent = job(agent_wanted(case["spec"]))
    assert isinstance(judge(AgentDriver(), sent, echoed(case["payload"])), Done)


@pytest.mark.parametrize("case", cases("agents"))
def test_an_update_always_names_the_version_it_rests_on(case: dict[str, Any]) -> None:
    changes = AgentDriver().changes(job(agent_wanted(case["spec"])), Remote("agent_1", "7"))
    assert changes == {**case["payload"], "version": 7}


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("name", "Other", "name"),
        ("description", "Other", "description"),
        ("system", "Other", "system"),
        ("model", {"id": "claude-opus-5-5", "speed": "fast"}, "model.id"),
        ("tools", [], "tools"),
        ("mcp_servers", [{"type": "url", "name": "files", "url": "https://x.test"}], "mcp_servers.files"),
        ("multiagent", {"type": "coordinator", "agents": ["agent_2"]}, "multiagent"),
        ("skills", [{"type": "custom", "skill_id": "skill_other", "version": "skver_1"}], "skills"),
    ],
)
def test_whatever_another_hand_changes_is_seen(field: str, value: Any, path: str) -> None:
    case = json.loads((GOLDEN / "agents" / "plain.json").read_text())
    seen = judge(AgentDriver(), job(agent_wanted(case["spec"])), {**echoed(case["payload"]), field: value})
    assert isinstance(seen, Odd)
    assert path in [difference["path"] for difference in seen.differences]


def test_an_approval_that_was_switched_off_by_another_hand_is_seen() -> None:
    case = json.loads((GOLDEN / "agents" / "full.json").read_text())
    answer = echoed(case["payload"])
    bash = next(config for config in answer["tools"][0]["configs"] if config["name"] == "bash")
    bash["permission_policy"] = {"type": "always_allow"}
    seen = judge(AgentDriver(), job(agent_wanted(case["spec"])), answer)
    assert isinstance(seen, Odd)
    assert seen.differences == [
        {"path": "tools.named.bash.permission", "desired": "always_ask", "actual": "always_allow"}
    ]


def connected() -> tuple[Job, dict[str, Any]]:
    """An agent with servers, and what CMA says of it."""
    case = json.loads((GOLDEN / "agents" / "servers.json").read_text())
    return job(agent_wanted(case["spec"])), echoed(case["payload"])


def toolset(answer: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(tool for tool in answer["tools"] if tool.get("mcp_server_name") == name)
    return found


def paths(sent: Job, answer: dict[str, Any]) -> list[str]:
    seen = judge(AgentDriver(), sent, answer)
    assert isinstance(seen, Odd)
    return [difference["path"] for difference in seen.differences]


def test_a_tool_of_a_server_that_another_hand_switched_on_is_seen() -> None:
    sent, answer = connected()
    toolset(answer, "docs")["default_config"]["enabled"] = True
    assert paths(sent, answer) == ["mcp_servers.docs.tools.unnamed.enabled"]


def test_a_server_that_another_hand_moved_is_seen() -> None:
    sent, answer = connected()
    answer["mcp_servers"][0]["url"] = "https://elsewhere.test/mcp"
    assert paths(sent, answer) == ["mcp_servers.docs.url"]


def test_a_second_toolset_of_a_server_is_seen() -> None:
    sent, answer = connected()
    answer["tools"].append({**toolset(answer, "docs"), "default_config": {"enabled": True}})
    assert paths(sent, answer) == ["other_tools"]


def test_an_agent_waits_for_a_managed_server_that_never_ran() -> None:
    servers = [{"mcp_server_registration_id": str(id_)} for id_ in (FRESH, DOCS)]
    asked = agent_wanted({"display_name": "A", "model": "m", "system_prompt": "s", "mcp_servers": servers})
    assert [need.what for need in asked.needs if need.id is None] == ["MCP server fresh: its deployment is deploying"]


def test_a_server_that_is_archived_is_left_out() -> None:
    spec = {"display_name": "A", "model": "m", "system_prompt": "s"}
    document = agent_wanted({**spec, "mcp_servers": [{"mcp_server_registration_id": str(GONE)}]}).document
    assert document is not None
    assert document["mcp_servers"] == {}


def test_metadata_of_others_is_kept_and_ours_is_taken_back() -> None:
    spec = {"display_name": "A", "model": "m", "system_prompt": "s", "metadata": {"team": "core"}}
    before = {"metadata": {"team": "core", "tier": "1"}}
    sent = job(agent_wanted(spec), actual=before)
    changes = AgentDriver().changes(sent, Remote("agent_1", "1"))
    assert changes["metadata"] == {"team": "core", "tier": None, "powerloom": "the stamp"}
    answer = echoed(AgentDriver().payload(sent))
    answer["metadata"] = {"team": "core", "powerloom": "the stamp", "theirs": "untouched"}
    assert isinstance(judge(AgentDriver(), sent, answer), Done)


def test_the_stamp_stays_out_of_the_document() -> None:
    document = agent_wanted({"display_name": "A", "model": "m", "system_prompt": "s"}).document
    assert document is not None
    assert document["metadata"] == {}


def test_an_agent_waits_for_a_skill_that_has_no_current_version() -> None:
    spec = {"display_name": "A", "model": "m", "system_prompt": "s", "skills": [{"skill_id": str(TYPES)}]}
    whats = [need.what for need in agent_wanted(spec).needs if need.id is None]
    assert whats == ["a current version of skill python-types"]


@pytest.mark.parametrize("case", cases("environments"))
def test_an_environment_is_sent_in_full(case: dict[str, Any], settings: Any) -> None:
    settings.ENVIRONMENT_NETWORKING = case["networking"]
    asked = wanted_environment(Organization(id=ORGANIZATION, name="acme"))
    assert asked.document == case["document"]
    payload = EnvironmentDriver().payload(job(asked))
    assert payload == case["payload"]
    answer = {"id": "env_1", "updated_at": "t", "archived_at": None, "scope": "organization", **payload}
    assert isinstance(judge(EnvironmentDriver(), job(asked), answer), Done)
