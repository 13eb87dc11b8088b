"""What agents are lent, while the whole product runs: skills and tools are used for real, at the fleet over HTTP with
the bearer of the agent's vault; what is lacking is told; what is lost is gone within seconds.
"""

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from powerloom.cma.local.store import FILE_NAME
from powerloom.kernel.tls import trust
from tests.organization import Organization
from tests.served import Served
from tests.shop import Shop
from tests.waiting import until

pytestmark = pytest.mark.sqlite_only

SECONDS = 30  # a look every 2 s, then one push or one interrupt; a busy machine is slower
LIST_TOOLS = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


@pytest.fixture(scope="module")
def acme(running: Served) -> Organization:
    return Organization(running)


def on_runtime(running: Served, name: str) -> dict[str, Any]:
    """Ask the runtime itself for the agent of that name."""
    headers = {"x-api-key": running.runtime.key, "anthropic-beta": "managed-agents-2026-04-01"}
    answer = httpx.get(
        f"{running.runtime.url}/v1/agents", headers=headers, trust_env=False, verify=trust()
    ).raise_for_status()
    [found] = [agent for agent in answer.json()["data"] if agent["name"] == name]
    return dict(found)


def bearers(running: Served) -> dict[str, str]:
    """Every token in the runtime's vaults, by CMA's id of the credential; read from its own store."""
    with sqlite3.connect(running.runtime.data / FILE_NAME, timeout=20) as db:
        rows = db.execute("SELECT id, json_extract(secret, '$.token') FROM document WHERE kind = 'credential'")
        return {id_: token for id_, token in rows if token}


def spoil_bearers(running: Served) -> None:
    """Have the runtime hold tokens that are not ours, behind everybody's back."""
    with sqlite3.connect(running.runtime.data / FILE_NAME, timeout=20) as db:
        db.execute("UPDATE document SET secret = json_set(secret, '$.token', 'wrong') WHERE kind = 'credential'")


def opens(deployment: dict[str, Any], bearer: str) -> bool:
    """Tell whether the fleet lets the bearer in."""
    headers = {"accept": "application/json, text/event-stream", "authorization": f"Bearer {bearer}"}
    answer = httpx.post(deployment["endpoint_url"], json=LIST_TOOLS, headers=headers, trust_env=False, verify=trust())
    assert answer.status_code in {200, 401}, answer.content
    return answer.status_code == 200


def calls(acme: Organization, session: dict[str, Any]) -> dict[str, bool]:
    """The MCP tools that the session called, as `server.tool`, and whether each answered without an error."""
    events = acme.get(f"/sessions/{session['id']}/events", limit=500)
    used = {
        event["payload"]["id"]: f"{event['payload']['mcp_server_name']}.{event['payload']['name']}"
        for event in events
        if event["event_type"] == "agent.mcp_tool_use"
    }
    answered = [event["payload"] for event in events if event["event_type"] == "agent.mcp_tool_result"]
    return {used[answer["mcp_tool_use_id"]]: not answer["is_error"] for answer in answered}


def cause(session: dict[str, Any]) -> dict[str, Any]:
    """The one cause of a session that ended well without its tools."""
    assert (session["status"], session["mcp_tool_use_count"]) == ("idle_end_turn", 0)
    assert session["degradation_flagged"]
    [found] = session["degradation"]["causes"]
    return dict(found)


# --- Used


def test_an_agent_calls_the_tools_of_its_deployments(acme: Organization, shop: Shop) -> None:
    acme.post("/secrets", name="metrics", ou_id=acme.root, kind="postgres_url", value=shop.url())
    tables = {"config_json": {"database_url_secret": "metrics"}, "policy_json": {"allowed_tables": ["metrics"]}}
    acme.deploy("postgres", **tables)
    agent = acme.declare("caller")
    for template in ("echo", "files", "postgres"):
        acme.attach(agent, template)
    session = acme.run(agent)
    assert (session["status"], session["degradation_flagged"]) == ("idle_end_turn", False)
    called = calls(acme, session)
    assert {name.partition(".")[0] for name in called} == {"echo", "files", "postgres"}
    assert called["echo.echo"]
    assert called["postgres.list_tables"]
    assert session["mcp_tool_use_count"] == len(called)
    log = acme.get(f"/mcp-deployments/{acme.deploy('echo')['id']}/calls")
    own = [call for call in log if call["agent_id"] == agent.rpartition("/")[2]]  # others call the same deployment
    assert {call["session_id"] for call in own} == {session["id"]}


# --- Lacking


def test_without_its_credential_an_agent_does_without_and_the_fix_is_told(acme: Organization) -> None:
    agent = acme.declare("bare")
    acme.attach(agent, "echo")
    acme.delete(f"/credentials/{acme.credential(agent)['id']}")
    found = cause(acme.run(agent))
    assert (found["cause"], found["server"], found["credential_id"]) == ("credential_missing", "echo", None)
    assert "attaching the server again does it too" in found["fix"]
    acme.attach(agent, "echo")
    assert acme.run(agent)["mcp_tool_use_count"] > 0


def test_a_credential_that_expired_is_named_with_the_fix(acme: Organization) -> None:
    agent = acme.declare("late")
    acme.attach(agent, "echo")
    acme.delete(f"/credentials/{acme.credential(agent)['id']}")
    credential = acme.post(
        "/credentials",
        agent_id=agent.rpartition("/")[2],
        mcp_server_registration_id=acme.deploy("echo")["mcp_server_registration_id"],
        expires_at=(datetime.now(UTC) + timedelta(seconds=2)).isoformat(),
    )
    until(lambda: acme.credential(agent)["status"] == "expired", what="its end")
    found = cause(acme.run(agent))
    assert (found["cause"], found["credential_id"]) == ("credential_expired", credential["id"])
    assert found["fix"] == "Rotate the credential."


def test_a_credential_that_is_wrong_is_named_with_the_fix(acme: Organization, running: Served) -> None:
    agent = acme.declare("fooled")
    acme.attach(agent, "echo")
    spoil_bearers(running)
    found = cause(acme.run(agent))
    credential = acme.credential(agent)["id"]
    assert (found["cause"], found["server"], found["credential_id"]) == ("credential_refused", "echo", credential)
    assert found["fix"].startswith("Rotate the credential")
    acme.post(f"/credentials/{credential}/rotate")
    acme.await_tools(agent)
    assert acme.run(agent)["mcp_tool_use_count"] > 0


# --- Lost


def test_a_server_lost_while_a_session_runs_is_gone_everywhere(acme: Organization, running: Served) -> None:
    owner = acme.hire("owner")
    right = acme.bind(owner, "AgentOwner")
    agent, before = acme.declare("borrower", owner=owner), set(bearers(running))
    acme.attach(agent, "echo")
    [credential] = set(bearers(running)) - before
    bearer = bearers(running)[credential]
    session = f"/sessions/{acme.post(f'{agent}/invoke', prompt='[slow=120] wait')['session_id']}"
    until(lambda: acme.get(session)["mcp_tool_use_count"], what="the first calls")
    assert opens(acme.deploy("echo"), bearer)
    acme.delete(right)
    assert not opens(acme.deploy("echo"), bearer)
    until(lambda: acme.get(session)["ended_at"], within=SECONDS, what="the end of the turn")
    until(lambda: credential not in bearers(running), within=SECONDS, what="the credential gone from the vault")
    until(lambda: not on_runtime(running, "borrower")["mcp_servers"], within=SECONDS, what="the server gone")
    assert acme.api.post(f"{agent}/invoke", json={"prompt": "again"}).status_code == 403


def test_a_skill_leaves_the_runtime_with_the_right_and_comes_back_with_it(acme: Organization, running: Served) -> None:
    owner, skill = acme.hire("linter-owner"), acme.skill()
    right, agent = acme.bind(owner, "SkillUser"), acme.declare("linter", owner=owner)
    acme.post(f"{agent}/skills", skill_id=skill)
    until(lambda: acme.get(f"{agent}/sync-status")["live"], what="the agent to be live")
    assert len(on_runtime(running, "linter")["skills"]) == 1
    acme.delete(right)
    until(lambda: not on_runtime(running, "linter")["skills"], within=SECONDS, what="the skill gone from the agent")
    assert [told["skill_id"] for told in acme.get(agent)["withheld_skills"]] == [skill]
    acme.bind(owner, "SkillUser")
    until(lambda: on_runtime(running, "linter")["skills"], within=SECONDS, what="the skill on the agent again")
    until(lambda: acme.get(f"{agent}/sync-status")["live"], what="the agent to be live again")
    assert acme.get(agent)["withheld_skills"] == []


def test_a_running_session_stops_when_its_invoker_may_no_longer_invoke(acme: Organization, running: Served) -> None:
    invoker = acme.hire("invoker")
    right = acme.bind(invoker, "AgentOperator")
    with running.product.client(f"{invoker}@dev.local") as theirs:
        body = {"prompt": "[events=200 rate=5] count"}
        session = theirs.post(f"/agents/{running.agent_id}/invoke", json=body).raise_for_status().json()["session_id"]
    path = f"/sessions/{session}"
    until(lambda: acme.get(path)["event_count"] > 3, what="the first events")
    acme.delete(right)
    until(lambda: acme.get(path)["status"] == "idle_end_turn", within=SECONDS, what="the end of the turn")
    assert acme.get(path)["event_count"] < 200
