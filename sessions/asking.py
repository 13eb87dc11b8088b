"""Calls that ask, in the inbox: each becomes one request, and none outlives its session.

    the relay stores that a session waits, answers or rests      → `asks_due_at`, in the same transaction
    follow()       every due session, under its lock             → opens what waits and is not in the inbox yet,
                                                                   withdraws what nobody can answer any more

The row is the queue: whoever dies between the two leaves it due. A session's call is one `ToolCall`, so it is opened
once by however many sweeps.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any  # what is shown is JSON
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.models import Principal, PrincipalKind
from agents.models import Agent
from agents.queries import acting_principal_id
from approvals import endings, questions
from approvals.demands import CONFIRMING, Asked
from approvals.models import ApprovalRequest
from approvals.models import Status as RequestStatus
from approvals.models.policies import DEFAULT_TTL_SECONDS
from approvals.questions import Question
from powerloom.audit import log as audit
from powerloom.audit.log import Record
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor, Target
from sessions import calls
from sessions import course as steps
from sessions.commands.calls import AnswerToolCall
from sessions.models import AgentSession, SessionEvent, ToolCall

BATCH = 100
LEASE = timedelta(minutes=1)  # a session that cannot be looked at keeps no other from it
SYSTEM = "confirmations"
POLICY_NAME = "tool confirmation"
TTL = timedelta(seconds=DEFAULT_TTL_SECONDS)
GONE, ELSEWHERE = "session_over", "answered_elsewhere"
LONGEST_NAME = 320


def follow() -> int:
    """Look at every session that is due. Returns how many were."""
    due = AgentSession.objects.filter(asks_due_at__lte=timezone.now()).order_by("asks_due_at")
    looked = 0
    for session_id in due.values_list("pk", flat=True)[:BATCH]:
        now = timezone.now()
        mine = AgentSession.objects.filter(pk=session_id, asks_due_at__lte=now).update(asks_due_at=now + LEASE)
        if mine:
            _follow(session_id)
            looked += 1
    return looked


def _follow(session_id: UUID) -> None:
    with transaction.atomic(durable=True):
        rows = AgentSession.objects.select_for_update(of=("self",)).select_related("ou", "agent__ou")
        session = rows.filter(pk=session_id, asks_due_at__isnull=False).first()
        if session is None:
            return
        known = list(ToolCall.objects.filter(session=session))
        withdrawn, opened = _withdrawn(session, known), _opened(session, {call.remote_id for call in known})
        AgentSession.objects.filter(pk=session_id).update(asks_due_at=None)
        if withdrawn:
            audit.append(withdrawn, actor=Actor.system(SYSTEM, organization_id=session.organization_id))
        if opened:
            audit.append(opened, actor=_asker(session.agent))


def _withdrawn(session: AgentSession, known: Collection[ToolCall]) -> list[Record]:
    """End the requests of calls that nobody can answer any more, or that were answered past us."""
    asked = {call.request_id: call for call in known if call.request_id is not None}
    if session.deleted_at is not None:
        questions.forget(asked, "arguments", "session_title")
    pending = ApprovalRequest.objects.filter(pk__in=asked, status=RequestStatus.PENDING)
    waiting = {id_: asked[id_] for id_ in pending.values_list("pk", flat=True)}
    records = []
    for id_, call in list(waiting.items()):
        if words := calls.why_gone(session, call.asked_at):
            records += endings.withdraw([id_], code=GONE, words=words)
            del waiting[id_]
    answered = _answered(session, [call.remote_id for call in waiting.values()])
    past = [id_ for id_, call in waiting.items() if call.remote_id in answered]
    return records + endings.withdraw(past, code=ELSEWHERE, words="The call was answered on the runtime itself.")


def _answered(session: AgentSession, remote_ids: Collection[str]) -> set[str]:
    if not remote_ids:
        return set()
    said = SessionEvent.objects.filter(session=session, event_type=calls.ANSWER)
    ids = said.filter(payload__tool_use_id__in=list(remote_ids)).values_list("payload__tool_use_id", flat=True)
    return set(ids)


def _opened(session: AgentSession, known: Collection[str]) -> list[Record]:
    """Open a request for each call that the session waits for and that has none."""
    if session.waiting_for != steps.CONFIRMATION:
        return []
    idle = SessionEvent.objects.filter(session=session, event_type="session.status_idle").order_by("-seq").first()
    wanted = ((idle.payload.get("stop_reason") or {}).get("event_ids") or []) if idle else []
    events = calls.asking(session).filter(remote_id__in=wanted).exclude(remote_id__in=known)
    return [_open(session, event) for event in events if not calls.why_gone(session, event.created_at)]


def _open(session: AgentSession, event: SessionEvent) -> Record:
    request_id = new_id()
    ToolCall.objects.create(
        session=session, remote_id=event.remote_id, request_id=request_id, asked_at=event.created_at
    )
    return questions.open_question(_question(session, event, request_id))


def _question(session: AgentSession, event: SessionEvent, request_id: UUID) -> Question:
    asker, bound = _asker(session.agent), calls.bound(event)
    server, tool = bound["server"], bound["tool"]
    name = (tool if server is None else f"{server}.{tool}")[:LONGEST_NAME]
    fields = {"request_id": request_id, "session_id": session.pk, "agent_version": session.agent_version, **bound}
    strict = calls.wants_four_eyes(session, event)
    return Question(
        id=request_id,
        action=CONFIRMING,
        requester=asker,
        askers={session.agent_id, *(calls.invokers(session) if strict else ())},
        target=Target("tool_call", session.pk, name, session.organization_id, session.ou.path),
        ou=session.ou,
        key=(str(session.pk), event.remote_id),
        shown=_shown(session, event, four_eyes=strict),
        yes=AnswerToolCall(**fields, result="allow"),
        no=AnswerToolCall(**fields, result="deny"),
        runs_as=Actor.system(SYSTEM, organization_id=session.organization_id),
        asked=_asked(session, four_eyes=strict),
    )


def _asked(session: AgentSession, *, four_eyes: bool) -> Asked:
    """Return who may answer: whoever may confirm in the agent's OU, and the person who invoked it; that person alone
    where the session acts for it. Four eyes leave nobody then, and time answers with a no.
    """
    invoker = None if four_eyes else _person(session.invoked_by_id)
    also = "but not who invoked the agent" if four_eyes else "or who invoked the agent"
    anybody = f"whoever may {CONFIRMING} there, {also}"
    return Asked(
        policy_id=None,
        policy_name=POLICY_NAME,
        policy_generation=0,
        ou_path=session.ou.path,
        approver="who invoked the agent, and nobody else" if session.is_delegated else anybody,
        quorum=1,
        ttl=TTL,
        approver_action=CONFIRMING,
        approver_user_id=invoker,
        is_private=session.is_delegated,
    )


def _person(principal_id: UUID) -> UUID | None:
    people = Principal.objects.filter(pk=principal_id, kind=PrincipalKind.USER)
    return people.values_list("pk", flat=True).first()


def _shown(session: AgentSession, event: SessionEvent, *, four_eyes: bool) -> dict[str, Any]:
    """Return the whole call, exactly as it was made."""
    return {
        "tool": str(event.payload.get("name", "")),
        "server": calls.server_of(event),
        "arguments": event.payload.get("input"),
        "tool_use_id": event.remote_id,
        "agent_id": str(session.agent_id),
        "agent": session.agent.ref,
        "agent_version": session.agent_version,
        "session_id": str(session.pk),
        "session_title": session.title,
        "invoked_by": session.invoked_by_ref,
        "four_eyes": four_eyes,
    }


def _asker(agent: Agent) -> Actor:
    return Actor(
        kind="agent",
        id=agent.pk,
        principal_id=acting_principal_id(agent),
        organization_id=agent.organization_id,
        ref=agent.ref,
    )
