"""Start a session of an agent: a pending row and its first message; a relay does the rest."""

from __future__ import annotations

from typing import Annotated, ClassVar
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from pydantic import BaseModel, ConfigDict, Field

from accounts.delegations import delegate
from accounts.models import User
from agents import delegating, lending, readiness
from agents.actions import Action
from agents.models import Agent, AgentKind, AgentVersion
from agents.queries import acting_principal_id, agent_for_invoke
from agents.spec import MAX_TURN_SECONDS, AgentSpec, TurnSeconds
from powerloom.commands.registry import Change, Command, Need, Subject, handles
from powerloom.kernel.errors import Denied, NotFound, NotReady, TooMany
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor, Target
from sessions import bells
from sessions.models import ACTIVE, AgentSession, InputKind, Mode, SessionInput
from sessions.queries import session_as_parent

MAX_PROMPT = 100_000
MAX_TITLE = 255
KICKOFF = "kickoff"

Prompt = Annotated[str, Field(min_length=1, max_length=MAX_PROMPT)]
Title = Annotated[str, Field(max_length=MAX_TITLE)]


class InvokeFields(BaseModel):
    """What to run an agent on. `max_duration` is in seconds and for each turn; the agent's own limit, where it has a
    lower one, counts. `agent_version` names an older version.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: Prompt
    title: Title | None = None
    mode: Mode = Mode.FIRE_AND_FORGET
    agent_version: Annotated[int, Field(ge=1)] | None = None
    parent_session_id: UUID | None = None
    max_duration: TurnSeconds = MAX_TURN_SECONDS


class InvokeAgent(InvokeFields, Command):
    """Run an agent on a prompt."""

    action: ClassVar[str] = Action.AGENT_INVOKE
    agent_id: UUID
    id: UUID


def load_invoke(command: InvokeAgent, actor: Actor) -> Subject:
    agent = agent_for_invoke(actor, command.agent_id)
    parent = session_as_parent(actor, command.parent_session_id) if command.parent_session_id else None
    spec = spec_of(agent, command.agent_version or agent.version)
    is_delegated = bool(delegating.meta_servers(spec.server_ids()))
    name = "" if is_delegated else command.title or ""
    target = Target("session", command.id, name, agent.organization_id, agent.ou.path)
    return Subject((agent, spec, parent, is_delegated), target, needs=lent(agent, spec))


@handles(InvokeAgent, load=load_invoke)
def invoke_agent(command: InvokeAgent, *, subject: Subject, actor: Actor) -> Change:
    agent, spec, parent, is_delegated = subject.row
    assert actor.id is not None, "the law lets no system invoke"
    check_owner(agent)
    _check_room(actor)
    pin = readiness.pin(agent, version=command.agent_version)
    if is_delegated:
        _check_person(agent, actor)
        delegate(command.id, agent.id, actor)
    now = timezone.now()
    session = AgentSession.objects.create(
        id=command.id,
        organization_id=agent.organization_id,
        ou=agent.ou,
        agent=agent,
        agent_version=pin.agent_version,
        cma_agent_id=pin.cma_agent_id,
        cma_agent_version=pin.cma_version,
        cma_environment_id=pin.cma_environment_id,
        cma_vault_id=pin.cma_vault_id,
        parent_session=parent,
        invoked_by_id=actor.id,
        invoked_by_ref=actor.ref,
        is_delegated=is_delegated,
        title=command.title,
        prompt=command.prompt,
        mode=command.mode,
        max_duration=min(command.max_duration, spec.max_duration or MAX_TURN_SECONDS),
        mcp_server_count=len(spec.mcp_servers),
        created_at=now,
        changed_at=now,
    )
    message = {"type": "user.message", "content": [{"type": "text", "text": command.prompt}]}
    SessionInput.objects.create(
        id=new_id(), session=session, kind=InputKind.MESSAGE, key=KICKOFF, event=message, author_ref=actor.ref
    )
    bells.ring_relays(session.id)
    bells.ring_readers(session.id)
    return Change(session, None, _described(session))


def _described(session: AgentSession) -> dict[str, object]:
    """Say what was started. The prompt stays out: it may hold anything, and the trail outlives the session."""
    return {
        "session_id": str(session.id),
        "agent_id": str(session.agent_id),
        "agent_version": session.agent_version,
        "mode": session.mode,
        "title": session.told_title,
        "prompt_length": len(session.prompt),
        "parent_session_id": str(session.parent_session_id) if session.parent_session_id else None,
        "max_duration": session.max_duration,
    }


def spec_of(agent: Agent, number: int) -> AgentSpec:
    """Return what the agent is at that version of ours. Raises `NotFound`."""
    version = AgentVersion.objects.filter(agent=agent, number=number).first()
    if version is None:
        raise NotFound
    return AgentSpec.model_validate(version.spec)


def lent(agent: Agent, spec: AgentSpec) -> tuple[Need, ...]:
    """Return what the agent's principal must still be allowed to use, because this run will use it."""
    principal_id = acting_principal_id(agent)
    return tuple(
        Need(loan.action, thing.target(), principal_id=principal_id)
        for loan in lending.LOANS
        for thing in loan.thing.objects.filter(pk__in=lending.lent_by(spec, loan)).select_related("ou")
    )


def check_owner(agent: Agent) -> None:
    """Raise `NotReady` when the agent acts for somebody who is disabled."""
    disabled = User.objects.filter(pk=agent.owner_principal_id, is_active=False)
    if agent.agent_kind == AgentKind.USER and disabled.exists():
        raise NotReady(f"{agent.name} cannot run: its owner is disabled.", why="the agent's owner is disabled")


def _check_person(agent: Agent, actor: Actor) -> None:
    if actor.kind != "user":
        raise Denied(
            f"{agent.name} acts with the rights of the person who talks to it, and an agent is nobody to act for.",
            permission=str(Action.AGENT_INVOKE),
        )


def _check_room(actor: Actor) -> None:
    """Keep one user, and one organization, from taking the runtime for themselves."""
    active = AgentSession.objects.filter(Q(organization_id=actor.organization_id), status__in=ACTIVE)
    for rows, most, whose in (
        (active.filter(Q(invoked_by_id=actor.id)), settings.MAX_SESSIONS_PER_PRINCIPAL, "You have"),
        (active, settings.MAX_SESSIONS_PER_ORGANIZATION, "Your organization has"),
    ):
        if rows.count() >= most:
            raise TooMany(f"{whose} {most} sessions under way, which is the most. Wait for one to end.", retry_after=5)
