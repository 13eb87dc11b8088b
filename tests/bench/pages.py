"""How long the console's fragments take: a page of many rows, one long session, the inbox, each asked as its page asks.

Everything an answer costs inside the process: session, rights, queries, template, the middleware around them. It is the
time that this process works, the database in it, so what else the machine does meanwhile does not count.
"""

import time
from datetime import timedelta
from statistics import median

from django.conf import settings
from django.test import Client
from django.utils import timezone

from agents.kinds import SyncKind
from agents.models import Agent, AgentVersion
from approvals.models import ApprovalRequest
from powerloom.kernel.ids import new_id
from powerloom.reconcile.models import SyncState
from sessions.models import AgentSession, SessionEvent
from tests.bench.measure import Ratio, measured
from tests.declared import make_agent
from tests.held import held_agent, make_policy
from tests.integration.console.conftest import make_session
from tests.world import World, console_of, make_world

MANY_AGENTS, MANY_SESSIONS, MANY_EVENTS, MANY_REQUESTS = 5_000, 100_000, 400, 60
TIMES = 20
LIMIT = 100.0  # milliseconds


@measured
def pages() -> list[Ratio]:
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "testserver"]
    world = make_world()
    session = _filled(world)
    alice, vera = console_of(world.alice), console_of(world.vera)
    asked = {
        "the list of agents": (alice, "/agents"),
        "the list of sessions": (alice, "/sessions"),
        "one session's news": (alice, f"/sessions/{session.id}/news?after_seq={MANY_EVENTS - 20}"),
        "the inbox": (vera, "/approvals"),
        "the inbox's count": (vera, "/approvals/count"),
        "the recent requests": (vera, "/approvals?tab=recent"),
        "the trail": (alice, "/audit"),
    }
    return [_ratio(name, *one) for name, one in asked.items()]


def _ratio(name: str, browser: Client, path: str) -> Ratio:
    seconds = []
    for _ in range(TIMES + 1):
        start = time.process_time()
        assert browser.get(path, headers={"HX-Request": "true"}).status_code == 200
        seconds.append(time.process_time() - start)
    typical = median(seconds[1:]) * 1000  # the first one reads the templates
    return Ratio(f"{name}, median in ms", typical, at_most=LIMIT, told=path)


def _filled(world: World) -> AgentSession:
    """Fill Acme: agents, sessions, one of them long, and requests that wait. Returns the long session."""
    agent = make_agent(world.bob, world.engineering)
    _agents(agent)
    session = _sessions(agent, world)
    events = (
        SessionEvent(
            session=session,
            seq=seq,
            remote_id=f"sevt_{seq}",
            event_type="user.message" if seq % 20 == 1 else "agent.message",
            payload={"content": [{"type": "text", "text": f"line {seq}"}]},
            created_at=timezone.now(),
        )
        for seq in range(1, MANY_EVENTS + 1)
    )
    SessionEvent.objects.bulk_create(events)
    make_policy(world.alice, world.engineering)
    asked = held_agent(world.bob, world.engineering, "held")
    for number in range(MANY_REQUESTS):
        _again(asked, number)
    return session


def _agents(like: Agent) -> None:
    spec = AgentVersion.objects.get(agent=like).spec
    rows = [Agent(**_columns(like) | {"id": new_id(), "name": f"agent-{number}"}) for number in range(MANY_AGENTS)]
    Agent.objects.bulk_create(rows, batch_size=1000)
    now = timezone.now()
    versions = [AgentVersion(agent=row, number=1, spec=spec, author_ref="user:bob@acme.example") for row in rows]
    AgentVersion.objects.bulk_create(versions, batch_size=1000)
    states = [
        SyncState(kind=SyncKind.AGENT, object_id=row.id, organization_id=like.organization_id, due_at=now)
        for row in rows
    ]
    SyncState.objects.bulk_create(states, batch_size=1000)


def _sessions(agent: Agent, world: World) -> AgentSession:
    first = make_session(agent, world.bob, last_seq=MANY_EVENTS)
    facts, now = _columns(first), timezone.now()
    rows = (
        AgentSession(**facts | {"id": new_id(), "created_at": now - timedelta(seconds=age)})
        for age in range(MANY_SESSIONS)
    )
    AgentSession.objects.bulk_create(rows, batch_size=1000)
    return first


def _again(asked: ApprovalRequest, number: int) -> None:
    """Another request like this one, with its demands."""
    demands = list(asked.demands.all())
    copy = ApprovalRequest(**_columns(asked) | {"id": new_id(), "digest": f"{number:064d}", "target_id": new_id()})
    copy.save(force_insert=True)
    for demand in demands:
        demand.pk, demand.request = None, copy
        demand.save(force_insert=True)


def _columns(row: Agent | AgentSession | ApprovalRequest) -> dict[str, object]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
