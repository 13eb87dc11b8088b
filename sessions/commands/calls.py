"""Answers to tool calls that ask: by a person on the session itself, and by the system for a request that was decided.

Whoever comes first answers. On the session itself the request in the inbox is settled in the same transaction; a
decision in the inbox is sent by the replayer, which finds the call answered when somebody was faster.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal  # Any: CMA's events
from uuid import UUID

from django.db.models import Q
from pydantic import Field

from approvals import endings
from approvals.models import ApprovalRequest, Decision, Verdict
from approvals.models import Status as RequestStatus
from powerloom.commands.registry import Change, Command, Subject, handles
from powerloom.kernel.errors import Conflict, Denied, NotFound, Stale
from powerloom.kernel.refs import Actor
from sessions import calls
from sessions import course as steps
from sessions.actions import Action
from sessions.commands.entries import Entry, check_token, enter
from sessions.models import AgentSession, InputKind, SessionEvent, ToolCall
from sessions.queries import session_for_change

MOST_WORDS = 1000
ANSWERED = "This call was answered already."
REASONS: dict[str, str] = {
    RequestStatus.REJECTED: "Rejected by the person who was asked.",
    RequestStatus.EXPIRED: "Nobody answered in time.",
    RequestStatus.CANCELLED: "The question was taken back.",
}


class ConfirmFields(Entry):
    """An answer to a tool call that asks; `tool_use_id` is the id of its event in this session."""

    tool_use_id: Annotated[str, Field(min_length=1, max_length=128)]
    result: Literal["allow", "deny"]
    deny_message: Annotated[str, Field(max_length=MOST_WORDS)] | None = None


class ConfirmToolUse(ConfirmFields, Command):
    """Say yes or no to a tool call that asks."""

    action: ClassVar[str] = Action.SESSION_CONFIRM
    session_id: UUID


class AnswerToolCall(Command):
    """Send what was decided about one call: this tool with these arguments, in this session, by this version."""

    action: ClassVar[str] = Action.TOOL_CALL_ANSWER
    request_id: UUID
    session_id: UUID
    agent_version: int
    tool_use_id: str
    tool: str
    server: str | None
    arguments_digest: str
    result: Literal["allow", "deny"]


def load_confirmation(command: ConfirmToolUse, actor: Actor) -> Subject:
    session = session_for_change(actor, command.session_id)
    return Subject(session, session.target(), own=session.invoked_by_id == actor.id)


# A decision itself, as deciding in the inbox is; no policy holds it.
@handles(ConfirmToolUse, load=load_confirmation, holdable=False)
def confirm_tool_use(command: ConfirmToolUse, *, subject: Subject, actor: Actor) -> Change:
    session: AgentSession = subject.row
    event = calls.asking(session).filter(remote_id=command.tool_use_id).first()
    if event is None:
        raise NotFound
    calls.refuse_unless_decider(actor, session, event)
    check_token(session, actor, command.action)
    if session.waiting_for != steps.CONFIRMATION:
        raise Conflict(calls.NOT_WAITING)
    denying = command.deny_message if command.result == "deny" else None
    request_id = _settle(session, event, command, actor)
    if not _enter(session, command.tool_use_id, command.result, denying or "", actor.ref):
        raise Conflict(ANSWERED)
    after = {"tool": event.payload.get("name"), "seq": event.seq, "result": command.result}
    return Change(session, None, after, approval_request_id=request_id)


def _settle(session: AgentSession, event: SessionEvent, command: ConfirmToolUse, actor: Actor) -> UUID | None:
    """Settle the call's request. One that is not in the inbox yet need not come there any more."""
    call, _ = ToolCall.objects.get_or_create(
        session=session, remote_id=event.remote_id, defaults={"asked_at": event.created_at}
    )
    if call.request_id is not None:
        verdict = Verdict.APPROVE if command.result == "allow" else Verdict.REJECT
        endings.settle(call.request_id, verdict, by=actor, comment=command.deny_message or "")
    return call.request_id


def load_answer(command: AnswerToolCall, actor: Actor) -> Subject:
    if actor.kind != "system":
        raise Denied("Only what was decided in the inbox is sent this way.", permission=Action.TOOL_CALL_ANSWER)
    sessions = AgentSession.objects.select_for_update(of=("self",)).select_related("ou", "agent")
    session = sessions.filter(Q(organization_id=actor.organization_id), pk=command.session_id).first()
    if session is None:
        raise NotFound
    return Subject(session, session.target())


@handles(AnswerToolCall, load=load_answer, holdable=False)
def answer_tool_call(command: AnswerToolCall, *, subject: Subject, actor: Actor) -> Change:
    session: AgentSession = subject.row
    request = ApprovalRequest.objects.get(pk=command.request_id, organization_id=session.organization_id)
    decisions = Decision.objects.filter(request=request).order_by("created_at", "pk")
    _check_decided(command, request)
    _check_call(command, session)
    said = decisions.last()
    denying = ""
    if command.result == "deny":
        denying = (said.comment if said else "") or REASONS[request.status]
    if not _enter(session, command.tool_use_id, command.result, denying, said.decider_ref if said else actor.ref):
        raise Conflict(ANSWERED)
    after = {"tool": command.tool, "server": command.server, "result": command.result}
    return Change(session, None, after, approval_request_id=request.pk)


def _check_decided(command: AnswerToolCall, request: ApprovalRequest) -> None:
    """An answer is what became of the request, whoever runs this."""
    fits = request.status == RequestStatus.APPROVED if command.result == "allow" else request.status in REASONS
    if not fits:
        raise Conflict(f"The request is {request.status}, so this is not its answer.", status=request.status)


def _check_call(command: AnswerToolCall, session: AgentSession) -> None:
    """Raise `Conflict` when the call takes no answer any more, `Stale` when it is not what was decided about."""
    asked = ToolCall.objects.filter(session=session, request_id=command.request_id)
    call = asked.filter(remote_id=command.tool_use_id).first()
    if call is None:
        raise NotFound
    if gone := calls.why_gone(session, call.asked_at):
        raise Conflict(gone, status=session.status)
    event = calls.asking(session).filter(remote_id=command.tool_use_id).first()
    wanted = command.model_dump(include={"tool_use_id", "tool", "server", "arguments_digest"})
    if event is None or calls.bound(event) != wanted or session.agent_version != command.agent_version:
        raise Stale("The call is not the one that was decided about.")


def _enter(session: AgentSession, tool_use_id: str, result: str, words: str, author_ref: str) -> bool:
    event: dict[str, Any] = {"type": calls.ANSWER, "tool_use_id": tool_use_id, "result": result}
    if words:
        event["deny_message"] = words[:MOST_WORDS]
    return enter(session, InputKind.CONFIRMATION, f"confirm:{tool_use_id}", event, author_ref)
