from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from agents.models import Agent
from sessions.models import AgentSession, Mode, SessionEvent, Status
from tests.declared import make_agent
from tests.standing import standing
from tests.world import World, console_of


@pytest.fixture
def alice(world: World) -> Client:
    """The console as Acme's administrator sees it."""
    return console_of(world.alice)


@standing
def agent(world: World) -> Agent:
    return make_agent(world.bob, world.engineering)


def make_session(agent: Agent, by: User, **columns: Any) -> AgentSession:
    """Make a session as its commands and the relay leave it after one turn."""
    now = timezone.now()
    given = {
        "title": None,
        "prompt": "Review the migration.",
        "status": Status.IDLE_END_TURN,
        "created_at": now - timedelta(minutes=1),
        "changed_at": now,
        **columns,
    }
    return AgentSession.objects.create(
        organization=agent.organization,
        ou=agent.ou,
        agent=agent,
        agent_version=agent.version,
        cma_agent_id="agent_01",
        cma_agent_version=1,
        cma_environment_id="env_01",
        cma_session_id="sesn_01",
        invoked_by_id=by.id,
        invoked_by_ref=by.ref,
        mode=Mode.FIRE_AND_FORGET,
        max_duration=600,
        **given,
    )


def tell(session: AgentSession, *events: tuple[str, dict[str, Any]]) -> list[SessionEvent]:
    """Store events as the relay does, after those that are there."""
    first = session.last_seq + 1
    rows = [
        SessionEvent(
            session=session,
            seq=seq,
            remote_id=f"sevt_{seq}",
            event_type=kind,
            payload=payload,
            created_at=timezone.now(),
        )
        for seq, (kind, payload) in enumerate(events, start=first)
    ]
    SessionEvent.objects.bulk_create(rows)
    session.last_seq = first + len(rows) - 1
    session.save(update_fields=["last_seq"])
    return rows


def text(words: str) -> dict[str, Any]:
    """Return the payload of a message that says this."""
    return {"content": [{"type": "text", "text": words}]}


def queries(browser: Client, path: str) -> int:
    """Return how many queries a page costs, once what is asked only once has been."""
    browser.get(path)
    with CaptureQueriesContext(connection) as asked:
        assert browser.get(path).status_code == 200
    return len(asked)


@standing
def session(agent: Agent, world: World) -> AgentSession:
    """A session of Bob's that has said something and called a tool."""
    made = make_session(agent, world.bob)
    tell(
        made,
        ("user.message", text("Review the migration.")),
        ("agent.message", text("I read it now.")),
        ("agent.tool_use", {"name": "bash", "input": {"command": "git diff"}}),
        ("agent.tool_result", {"tool_use_id": "sevt_3", **text("one line")}),
        ("session.status_idle", {"stop_reason": {"type": "end_turn"}}),
    )
    return made
