"""Sessions without a runtime: invoked for real, and then written as a relay would write them."""

from itertools import count
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from agents.kinds import SyncKind
from agents.models import Agent
from powerloom.commands.bus import submit
from powerloom.commands.registry import Done
from powerloom.kernel.ids import new_id
from sessions import course as steps
from sessions import ingest
from sessions.commands import InvokeAgent
from sessions.models import AgentSession, SessionInput
from tests.declared import make_agent, make_live
from tests.world import World, actor_of

_numbers = count(1)
DONE = {"type": "end_turn"}


def live_agent(world: World, name: str = "code-reviewer") -> Agent:
    """An agent in engineering that can be invoked, as far as we know."""
    agent = make_agent(world.alice, world.engineering, name)
    make_live(agent.id, kinds={SyncKind.ENVIRONMENT})
    return agent


def live_agent_elsewhere(world: World) -> Agent:
    """An agent in sales that can be invoked."""
    agent = make_agent(world.alice, world.sales, "seller")
    make_live(agent.id)
    return agent


def invoked(agent: Agent, by: User, prompt: str = "do it", **fields: Any) -> AgentSession:
    """A pending session."""
    outcome = submit(InvokeAgent(id=new_id(), agent_id=agent.id, prompt=prompt, **fields), actor=actor_of(by))
    assert isinstance(outcome, Done)
    session: AgentSession = outcome.row
    return session


def event(kind: str, **fields: Any) -> dict[str, Any]:
    """One of CMA's events."""
    return {"id": f"sevt_{next(_numbers)}", "type": kind, "processed_at": "2026-11-21T00:00:00Z", **fields}


def said(text: str) -> dict[str, Any]:
    return event("agent.message", content=[{"type": "text", "text": text}])


def observe(session: AgentSession, *events: dict[str, Any]) -> AgentSession:
    """Store events as a relay would; the first time the session is created on CMA too."""
    created = [] if session.cma_session_id else [steps.create(f"sesn_{session.id.hex[:8]}")]
    with transaction.atomic():
        now = timezone.now()
        SessionInput.objects.filter(session=session, sent_at__isnull=True).update(attempted_at=now, sent_at=now)
        ingest.write(session.id, [*created, *(steps.observe(one) for one in events)])
    session.refresh_from_db()
    return session


def running_session(agent: Agent, by: User, *texts: str) -> AgentSession:
    """A session that runs and has said these texts."""
    return observe(invoked(agent, by), event("session.status_running"), *map(said, texts))


def ended_session(agent: Agent, by: User, *texts: str) -> AgentSession:
    """A session whose turn is over."""
    return observe(running_session(agent, by, *texts), event("session.status_idle", stop_reason=DONE))
