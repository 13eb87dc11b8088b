"""Lost rights fail closed: sessions that run on a right that is gone are interrupted.

A session rests on three rights: its invoker's to invoke the agent, the existence of whom the agent acts for, and that
one's right to use every skill and every MCP server of the version that runs. They are judged when access changed
(`agents.access_watch`), for all sessions of an organization that are under way at once. Only rows are written; the
relays do the rest, and the sweep sees to it when no bell reaches them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db.models import F, Q

from accounts import rbac
from accounts.models import Principal, PrincipalClosure
from agents import access_watch, lending
from agents.actions import Action
from agents.lending import SERVERS, SKILLS, Loan
from agents.models import AgentVersion
from agents.queries import acting_principal_id
from agents.spec import AgentSpec
from sessions.commands.entries import stop
from sessions.models import ACTIVE, AgentSession, InputKind, SessionInput

WATCH = "sessions"
INVOKER = "system:the invoker may no longer invoke the agent"
OWNER = "system:whom the agent acts for is disabled or gone"
SKILL = "system:the agent may no longer use one of its skills"
SERVER = "system:the agent may no longer use one of its MCP servers"
Version = tuple[UUID, int]
"""An agent and the number of its version that runs."""

UNSENT = "The right that this session ran on was lost."


def follow_access() -> int:
    """Judge the organizations whose access has changed. Returns how many."""
    return access_watch.follow(WATCH, judge)


def judge(organization_id: UUID) -> None:
    """Interrupt the organization's sessions that run on a right that is gone. Runs in the caller's transaction."""
    active = AgentSession.objects.filter(organization_id=organization_id, status__in=ACTIVE)
    sessions = list(active.select_related("agent", "ou"))
    if not sessions:
        return
    specs = _specs(sessions)
    for because, lost in (
        (INVOKER, _uninvoked(sessions)),
        (OWNER, _ownerless(sessions)),
        (SKILL, _unlent(SKILLS, sessions, specs)),
        (SERVER, _unlent(SERVERS, sessions, specs)),
    ):
        if lost:
            interrupt_running(Q(pk__in=lost), because=because)


def interrupt_running(affected: Q, *, because: str) -> int:
    """Have every session under way that fits `affected` stopped; `because` names who or what did it.

    What waits to be sent to it is not sent any more. Returns how many were stopped.
    """
    rows = AgentSession.objects.filter(affected, status__in=ACTIVE)
    found = list(rows.select_for_update(of=("self",)).order_by("pk"))
    waiting = SessionInput.objects.filter(session__in=found, sent_at__isnull=True, refused="")
    waiting.exclude(kind=InputKind.INTERRUPT).update(refused=UNSENT)
    for session in found:
        stop(session, author_ref=because)
    return len(found)


def _uninvoked(sessions: Sequence[AgentSession]) -> set[UUID]:
    """Return the sessions whose invoker may not invoke the agent any more; three queries for any number."""
    invokers = {session.invoked_by_id for session in sessions}
    acting = {
        id_: acts_as or id_
        for id_, acts_as in Principal.objects.filter(pk__in=invokers).values_list("pk", "acts_as_id")
    }
    grants = rbac.grants_by_member(set(acting.values()), Action.AGENT_INVOKE)
    return {
        session.pk
        for session in sessions
        if not rbac.decide(
            grants.get(acting.get(session.invoked_by_id, session.invoked_by_id), ()),
            Action.AGENT_INVOKE,
            session.ou.path,
            session.pk,
        ).allowed
    }


def _ownerless(sessions: Sequence[AgentSession]) -> set[UUID]:
    """Return the sessions of agents that act for somebody who speaks for nobody, not even for himself; one query."""
    acting = {session.pk: acting_principal_id(session.agent) for session in sessions}
    speaking = PrincipalClosure.objects.filter(member_id__in=set(acting.values()), principal_id=F("member_id"))
    there = set(speaking.values_list("member_id", flat=True))
    return {pk for pk, principal in acting.items() if principal not in there}


def _unlent(loan: Loan, sessions: Sequence[AgentSession], specs: Mapping[Version, AgentSpec]) -> set[UUID]:
    """Return the sessions whose agent may not use a thing that its version has; three queries for any number."""
    pairs = {
        session.pk: {
            (acting_principal_id(session.agent), thing)
            for thing in lending.lent_by(specs[session.agent_id, session.agent_version], loan)
        }
        for session in sessions
    }
    refused = lending.refused(loan, (pair for asked in pairs.values() for pair in asked))
    return {pk for pk, asked in pairs.items() if asked & refused}


def _specs(sessions: Sequence[AgentSession]) -> dict[Version, AgentSpec]:
    """Return what every version that runs is."""
    rows = AgentVersion.objects.filter(
        agent_id__in={session.agent_id for session in sessions},
        number__in={session.agent_version for session in sessions},
    )
    return {(row.agent_id, row.number): AgentSpec.model_validate(row.spec) for row in rows}
