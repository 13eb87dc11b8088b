"""The hold step of the governed write path, between the rights and the record.

    hold(actor, handlers)                  before the set runs: the policies as they are
      → judge(cases, stale, ticket, dry_run)   after it ran, in its transaction
           None                            it may pass; with a ticket, its request is applied in this very transaction
           a function                      what opens the request, or foretells it, once the set is rolled back

A ticket lets pass what was approved and nothing else: the same objects in the same state, every policy of this moment
met by people who may still decide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any  # a request is rendered as JSON

from django.utils import timezone

from approvals import clearance, effects, notices, opening
from approvals.demands import Asked, demands_for, standing
from approvals.matching import Policies
from approvals.models import Outcome, Status
from approvals.tickets import Ticket
from powerloom.commands.registry import Case, Handler
from powerloom.kernel.errors import AlreadyDecided, JustificationRequired
from powerloom.kernel.refs import Actor

Stale = Sequence[dict[str, Any]]
Judge = Callable[..., Callable[[], Any] | None]


def hold(actor: Actor, handlers: Sequence[Handler[Any]]) -> Judge:
    """Return the step for one set of one actor. The system's own commands are held by nobody."""
    policies = Policies(actor.organization_id, handlers)
    already = effects.returning(actor.organization_id, handlers)

    def judge(cases: Sequence[Case], stale: Stale, *, ticket: Ticket | None, dry_run: bool) -> Callable[[], Any] | None:
        if actor.kind == "system" and ticket is None:
            return None
        caused = effects.of(cases, stale, already)
        matches = policies.matching(caused)
        asked = demands_for(cases, matches)
        if ticket is not None:
            clearance.check(ticket.request, cases, caused, [*asked, *standing(ticket.request)])
            _spend(ticket)
            effects.note(caused)
            return None
        if not asked:
            effects.note(caused)
            return None
        if dry_run:
            return opening.foreteller(actor, cases, caused, matches, asked)
        _want_justification(actor, asked)
        return opening.opener(actor, cases, caused, matches, asked, stale)

    return judge


def _spend(ticket: Ticket) -> None:
    """Mark the request applied, in the transaction that applies it: so it happens once."""
    now = timezone.now()
    rows = type(ticket.request).objects.filter(pk=ticket.request.pk, status=Status.APPROVED, outcome="")
    spent = rows.update(outcome=Outcome.APPLIED, applied_at=now, replay_due_at=None, lease_until=None)
    if spent != 1:
        raise AlreadyDecided("This request was applied already.")
    notices.note(ticket.request, "applied")


def _want_justification(actor: Actor, asked: Sequence[Asked]) -> None:
    wanting = [one for one in asked if one.justification_required]
    if wanting and not actor.justification.strip():
        names = ", ".join(sorted({one.policy_name for one in wanting}))
        raise JustificationRequired(
            f"The policy {names} holds this and wants to know why. Say it in the header X-Approval-Justification.",
            policies=sorted({one.policy_name for one in wanting}),
        )
