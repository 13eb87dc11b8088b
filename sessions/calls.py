"""Tool calls that ask: what each is, who may answer it, and whether anybody still can.

A call is bound by the id of its event, its tool, server and arguments, the session and the version of the agent that
runs. Whoever holds `tool_call:confirm` in the agent's OU may answer it, and who invoked the agent, unless the
attachment of its server wants four eyes. Of a session that acts for who invoked it, nobody else answers a call.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any  # arguments are JSON
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts import rbac
from accounts.granters import who_can_grant
from accounts.models import Principal
from agents.models import AgentVersion, MCPServer
from agents.spec import AgentSpec
from powerloom.kernel.canonical import keyed_digest
from powerloom.kernel.errors import Denied
from powerloom.kernel.keys import derived_key
from powerloom.kernel.refs import Actor
from sessions.actions import Action
from sessions.models import AgentSession, InputKind, SessionEvent, SessionInput, Status

ASKING = ("agent.tool_use", "agent.mcp_tool_use")
ANSWER = "user.tool_confirmation"
NOT_WAITING = "This session does not wait for an answer now."


def asking(session: AgentSession) -> QuerySet[SessionEvent]:
    """Return the events of the session's calls that ask, or once did."""
    return SessionEvent.objects.filter(
        session=session, event_type__in=ASKING, payload__evaluated_permission="ask"
    ).order_by("seq")


def bound(event: SessionEvent) -> dict[str, Any]:
    """Return what an answer is bound to besides session and version: the call's id, tool, server and arguments.

    The digest is keyed, because arguments may hold a secret and outlive their session in it.
    """
    # A model's numbers may be larger than canonical JSON takes, so every number counts as it is spelled.
    text = json.dumps(event.payload.get("input"))
    arguments = json.loads(text, parse_int=_spelled, parse_float=_spelled, parse_constant=_spelled)
    return {
        "tool_use_id": event.remote_id,
        "tool": str(event.payload.get("name", "")),
        "server": server_of(event),
        "arguments_digest": keyed_digest(derived_key("tool_call"), arguments),
    }


def _spelled(number: str) -> dict[str, str]:
    return {"number": number}


def server_of(event: SessionEvent) -> str | None:
    """Return the name of the MCP server that is called; None for a built-in tool."""
    return str(event.payload.get("mcp_server_name", "")) if event.event_type == "agent.mcp_tool_use" else None


def wants_four_eyes(session: AgentSession, event: SessionEvent) -> bool:
    """Tell whether who invoked the agent may not answer."""
    return event.remote_id in _strict(session, [event])


def _strict(session: AgentSession, events: Iterable[SessionEvent]) -> set[str]:
    """Return the ids of those of the calls that want four eyes; at most two queries. A server that cannot be told from
    the others counts as the strictest of them.
    """
    names = {event.remote_id: server_of(event) for event in events}
    if not any(name is not None for name in names.values()):
        return set()
    version = AgentVersion.objects.get(agent_id=session.agent_id, number=session.agent_version)
    attached = AgentSpec.model_validate(version.spec).mcp_servers
    strict = {one.mcp_server_registration_id for one in attached if one.four_eyes}
    if not strict:
        return set()
    known: dict[str, set[UUID]] = {}
    rows = MCPServer.objects.filter(pk__in=[one.mcp_server_registration_id for one in attached])
    for name, id_ in rows.values_list("server_name", "pk"):
        known.setdefault(name, set()).add(id_)
    return {call for call, name in names.items() if name is not None and (name not in known or known[name] & strict)}


def invokers(session: AgentSession) -> set[UUID]:
    """Return who invoked the session, and for whom that one acts."""
    acting = Principal.objects.filter(pk=session.invoked_by_id).values_list("acts_as_id", flat=True)
    return {session.invoked_by_id, *(id_ for id_ in acting if id_)}


def refuse_unless_decider(actor: Actor, session: AgentSession, event: SessionEvent) -> None:
    """Raise `Denied` unless the actor is one of those whom the inbox would ask about this call."""
    _refuse(actor, session, four_eyes=actor.id in invokers(session) and wants_four_eyes(session, event))


def against_answering(actor: Actor, session: AgentSession, events: Iterable[SessionEvent]) -> dict[str, str]:
    """Return why the actor cannot answer these calls, "" where nothing stands against it, by the ids of those that
    ask; a constant number of queries.
    """
    asked = [one for one in events if one.event_type in ASKING and one.payload.get("evaluated_permission") == "ask"]
    if not asked:
        return {}
    if session.status != Status.RUNNING:  # while it runs, a call that was just told may come to wait
        return dict.fromkeys((event.remote_id for event in asked), NOT_WAITING)
    strict = _strict(session, asked) if actor.id in invokers(session) else set()
    words = {four_eyes: _words_against(actor, session, four_eyes=four_eyes) for four_eyes in (False, True)}
    return {event.remote_id: words[event.remote_id in strict] for event in asked}


def _words_against(actor: Actor, session: AgentSession, *, four_eyes: bool) -> str:
    try:
        _refuse(actor, session, four_eyes=four_eyes)
    except Denied as error:
        return error.message
    return ""


def _refuse(actor: Actor, session: AgentSession, *, four_eyes: bool) -> None:
    action = Action.TOOL_CALL_CONFIRM
    if actor.kind != "user" or actor.delegated_from_session is not None:
        raise Denied("Only people answer a call that asks.", permission=action)
    if session.is_delegated and actor.id != session.invoked_by_id:
        raise Denied("This session acts for who invoked the agent, who alone answers its calls.", permission=action)
    if four_eyes:
        raise Denied("This call wants four eyes: somebody else than who invoked the agent answers.", permission=action)
    decision = rbac.may(actor, action, session.ou.path, session.id)
    by_invoker = actor.id == session.invoked_by_id and decision.because is None
    if not decision.allowed and not by_invoker:
        granters = who_can_grant([action], session.ou.path, session.organization_id)
        raise rbac.denied(action, session.target(), decision, granters=granters)


def why_gone(session: AgentSession, asked_at: datetime) -> str:
    """Return why a call that was made at that moment takes no answer any more; empty while it does."""
    if session.deleted_at is not None:
        return "The session was deleted."
    if session.status != Status.RUNNING:
        return f"The session does not wait any more: it is {session.status}."
    since = Q(sent_at__isnull=True) | Q(created_at__gte=asked_at)
    stops = SessionInput.objects.filter(since, session=session, kind=InputKind.INTERRUPT, refused="")
    return "The session was told to stop." if stops.exists() else ""


def look_again(session_ids: Collection[UUID]) -> None:
    """Have the requests of these sessions' calls looked at, where there are any: what they wait for may be gone."""
    if session_ids:
        now = timezone.now()
        AgentSession.objects.filter(pk__in=session_ids, calls__isnull=False).update(asks_due_at=now)
