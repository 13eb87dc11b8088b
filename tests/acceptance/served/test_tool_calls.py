"""An agent whose tool always asks, in the whole product: it waits for real, is answered in the inbox, and goes on."""

from typing import Any

import httpx
import pytest

from tests.served import Served
from tests.waiting import until

pytestmark = pytest.mark.sqlite_only

BUILT_IN = ("edit", "read", "write", "glob", "grep", "web_fetch", "web_search")
ONLY_BASH = {"bash": {"permission": "always_ask"}, **{name: {"enabled": False} for name in BUILT_IN}}


def test_what_asks_waits_for_the_inbox_and_runs_or_not_as_was_decided(running: Served) -> None:
    with _approver(running) as approver:
        agent = _agent_that_asks(running.api)
        allowed, denied = (_invoked(running.api, agent, title) for title in ("allowed", "denied"))
        until(lambda: len(_inbox(approver)) == 2, what="two requests in the inbox")
        for session in (allowed, denied):
            row = running.api.get(f"/sessions/{session}").json()
            assert (row["status"], row["waiting_for"]) == ("running", "confirmation")
            assert _results(running.api, session) == []
        for session, verdict in ((allowed, "approve"), (denied, "reject")):
            answer = approver.post(f"/approvals/{_inbox(approver)[session]}/{verdict}", json={"comment": "not today"})
            answer.raise_for_status()
        until(lambda: _have_ended(running.api, allowed, denied), what="the end of both sessions")
        [ran], [refused] = _results(running.api, allowed), _results(running.api, denied)
        assert not ran["is_error"]
        assert "not today" in str(refused["content"])
        assert _inbox(approver) == {}


def _approver(running: Served) -> httpx.Client:
    root = running.api.get("/ous/tree").json()[0]["id"]
    roles = {role["name"]: role["id"] for role in running.api.get("/roles").json()}
    user = running.api.post("/users", json={"email": "vera@dev.local", "home_ou_id": root}).json()["id"]
    body = {"principal_id": user, "role_id": roles["Approver"], "scope_ou_id": root}
    running.api.post("/role-bindings", json=body).raise_for_status()
    return running.product.client("vera@dev.local")


def _agent_that_asks(api: httpx.Client) -> str:
    root = api.get("/ous/tree").json()[0]["id"]
    said = {"name": "careful", "display_name": "Careful", "model": "claude-sonnet-4-6", "system_prompt": "Ask."}
    agent = str(api.post("/agents", json={**said, "ou_id": root, "tools": ONLY_BASH}).raise_for_status().json()["id"])
    until(lambda: api.get(f"/agents/{agent}/sync-status").json()["live"], what="the agent to be live")
    return agent


def _invoked(api: httpx.Client, agent: str, title: str) -> str:
    answer = api.post(f"/agents/{agent}/invoke", json={"prompt": "look around", "title": title})
    return str(answer.raise_for_status().json()["session_id"])


def _inbox(approver: httpx.Client) -> dict[str, str]:
    """Return what waits for the approver: request by session."""
    rows = approver.get("/approvals").raise_for_status().json()
    details = [approver.get(f"/approvals/{row['id']}").raise_for_status().json() for row in rows]
    return {detail["tool_call"]["session_id"]: detail["id"] for detail in details}


def _have_ended(api: httpx.Client, *sessions: str) -> bool:
    return all(api.get(f"/sessions/{session}").json()["status"] == "idle_end_turn" for session in sessions)


def _results(api: httpx.Client, session: str) -> list[dict[str, Any]]:
    events = api.get(f"/sessions/{session}/events", params={"limit": 500}).raise_for_status().json()
    return [event["payload"] for event in events if event["event_type"] == "agent.tool_result"]
