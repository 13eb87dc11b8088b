"""Talking with an agent in the console: begin, follow, and see what each call did."""

import json
import re
from typing import Any

import pytest
from django.test import Client

from accounts.models import OU
from agents.kinds import SyncKind
from agents.models import Agent, MCPDeployment
from approvals.models import ApprovalRequest
from approvals.models import Status as Asked
from powerloom.audit.models import Entry
from sessions.models import AgentSession
from tests.declared import make_agent, make_live
from tests.held import held_agent, make_policy
from tests.integration.console.conftest import make_session, queries, tell, text
from tests.standing import standing
from tests.wired import make_managed, wire
from tests.world import World, console_of

pytestmark = pytest.mark.once

HTMX = {"HX-Request": "true"}
PROMPT = "Set up a review agent in engineering."


@standing
def meta(world: World, agent: Agent) -> Agent:
    """The agent, with Powerloom itself as its server `powerloom`."""
    server = make_managed(world.engineering, "powerloom")
    MCPDeployment.objects.update(template_kind="powerloom_meta")
    wire(agent, server)
    return agent


def called(session: AgentSession, tool: str, answer: dict[str, Any], *, server: str = "powerloom") -> None:
    """Store a call with its answer."""
    (use,) = tell(session, ("agent.mcp_tool_use", {"mcp_server_name": server, "name": tool, "input": {"limit": 7}}))
    content = text(json.dumps({"right": "agent:create", "request_id": "req-1", **answer}))
    tell(session, ("agent.mcp_tool_result", {"mcp_tool_use_id": use.remote_id, **content}))


def test_a_message_begins_a_conversation(world: World, agent: Agent) -> None:
    make_live(agent.id, kinds={SyncKind.ENVIRONMENT})
    form = {"agent_id": str(agent.id), "prompt": PROMPT}
    answer = console_of(world.bob).post("/chat", form, headers=HTMX)
    session = AgentSession.objects.get()
    assert answer.headers["HX-Redirect"] == f"/chat/{session.id}"
    assert (session.prompt, session.invoked_by_id) == (PROMPT, world.bob.id)
    assert Entry.objects.filter(action="agent:invoke", decision="allowed").count() == 1


def test_what_is_refused_comes_back_with_what_was_typed(world: World, agent: Agent) -> None:
    form = {"agent_id": str(agent.id), "prompt": PROMPT}
    answer = console_of(world.bob).post("/chat", form, headers=HTMX)
    assert answer.status_code == 409
    assert "not live yet" in answer.content.decode()
    assert PROMPT in answer.content.decode()


def test_the_meta_agent_comes_first_with_examples(world: World, alice: Client, meta: Agent) -> None:
    other = make_agent(world.bob, world.engineering, name="another")
    page = alice.get("/chat").content.decode()
    assert page.index(f'value="{meta.id}"') < page.index(f'value="{other.id}"')
    assert page.count("data-fills") == 4
    assert "data-fills" not in alice.get(f"/chat?agent={other.id}").content.decode()


def test_who_may_invoke_nobody_is_told_so(world: World, agent: Agent) -> None:
    assert "no agent that you may talk with" in console_of(world.eve).get("/chat").content.decode()


def test_a_call_shows_its_right_arguments_result_and_what_it_made(world: World, alice: Client, meta: Agent) -> None:
    session = make_session(meta, world.alice)
    tell(session, ("user.message", text(PROMPT)))
    called(session, "create_agent", {"status": 201, "agent": {"id": str(meta.id), "name": "scout"}})
    page = alice.get(f"/chat/{session.id}").content.decode()
    assert "<code>create_agent</code>" in page
    assert "<code>agent:create</code>" in page
    assert re.search(rf'href="/agents/{meta.id}">Open scout', page)
    assert "limit" in page
    assert "req-1" in page
    assert "your rights" in page


def test_a_foreign_server_cannot_pass_for_powerloom(world: World, alice: Client, meta: Agent) -> None:
    session = make_session(meta, world.alice)
    called(session, "create_agent", {"status": 201, "agent": {"id": str(meta.id), "name": "scout"}}, server="evil")
    page = alice.get(f"/chat/{session.id}").content.decode()
    assert "evil.create_agent" in page
    assert "Open scout" not in page
    assert "by right" not in page


def test_a_held_change_shows_its_request_until_it_is_over(world: World, alice: Client, meta: Agent) -> None:
    make_policy(world.alice, world.engineering)
    held_agent(world.bob, world.engineering, "held")
    ask = ApprovalRequest.objects.get()
    session = make_session(meta, world.bob)
    called(session, "create_agent", {"status": 202, "held": {"approval_request_id": str(ask.id)}})
    bob = console_of(world.bob)
    assert f'hx-get="/approvals/{ask.id}/inline"' in bob.get(f"/chat/{session.id}").content.decode()
    card = bob.get(f"/approvals/{ask.id}/inline").content.decode()
    assert "every 3s" in card
    assert f'href="/approvals/{ask.id}"' in card
    assert "vera@acme.example can decide" in card
    assert "Read and decide" not in card
    assert "Read and decide" in console_of(world.vera).get(f"/approvals/{ask.id}/inline").content.decode()
    ApprovalRequest.objects.filter(pk=ask.pk).update(status=Asked.REJECTED)
    assert "every" not in bob.get(f"/approvals/{ask.id}/inline").content.decode()


def test_a_reload_draws_what_came_live(world: World, alice: Client, meta: Agent) -> None:
    session = make_session(meta, world.alice)
    tell(session, ("user.message", text(PROMPT)), ("agent.thinking", {}), ("agent.message", text("Done.")))
    called(session, "list_ous", {"status": 200, "ous": []})

    def drawn(page: str) -> list[int]:
        return [int(seq) for seq in re.findall(r'id="e-(\d+)"', page)]

    assert drawn(alice.get(f"/chat/{session.id}").content.decode()) == [1, 3, 4]
    assert drawn(alice.get(f"/chat/{session.id}/news?after_seq=4").content.decode()) == [4]  # its answer came
    for place in ("x", "9" * 5000):
        assert alice.get(f"/chat/{session.id}/news?after_seq={place}").status_code == 422


def test_more_said_costs_no_more_queries(world: World, alice: Client, meta: Agent) -> None:
    session = make_session(meta, world.alice)
    called(session, "list_ous", {"status": 200, "ous": []})
    few, begun = queries(alice, f"/chat/{session.id}"), queries(alice, "/chat")
    for _ in range(20):
        called(session, "list_ous", {"status": 200, "ous": []})
        make_session(meta, world.alice)
    make_agent(world.bob, OU.objects.get(path="/acme/engineering/"), name="another")
    assert queries(alice, f"/chat/{session.id}") == few
    assert queries(alice, "/chat") == begun
