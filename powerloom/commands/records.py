"""What the audit trail says of commands: of one that was applied, and of one that was refused."""

from __future__ import annotations

from powerloom.audit import log as audit
from powerloom.commands.registry import Case, Command
from powerloom.kernel.errors import Denied, NotFound
from powerloom.kernel.refs import Actor, Target


def of(case: Case) -> audit.Record:
    """Return the record of a command that was applied."""
    change = case.change
    return audit.Record(
        action=case.command.action,
        command=type(case.command).__name__,
        target=case.target,
        before=change.before if change else None,
        after=change.after if change else None,
        decision=case.decision,
        approval_request_id=change.approval_request_id if change else None,
    )


def refuse(error: Denied | NotFound, command: Command, target: Target | None, actor: Actor) -> None:
    """Record that a command was refused, in a transaction of its own."""
    error.is_recorded = True
    audit.refuse(actor=actor, action=command.action, error=error, target=target, asked=command.model_dump(mode="json"))
