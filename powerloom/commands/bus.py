"""The door. All governed state changes here and nowhere else.

One transaction: for each command load and lock, authorize, apply; then the policies, as they were before the set; the
audit entries last, because they lock the chain head. A refusal or a hold rolls everything back and writes only the
denial, or the one request that holds the set. The steps are named in `settings.COMMAND_STEPS`, in the order of safety;
without them nothing passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any  # steps come by dotted name

from django.conf import settings
from django.db import OperationalError, transaction
from django.utils.module_loading import import_string
from tenacity import retry, retry_if_exception, stop_after_attempt

from powerloom.audit import log as audit
from powerloom.commands import idempotency, records
from powerloom.commands.idempotency import Key
from powerloom.commands.registry import Case, Command, Done, Held, Preview, handler_of
from powerloom.commands.running import Refusals, Refused, Run
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from powerloom.reconcile import intents

Hold = Callable[..., Any]

RETRIES = 3  # of the whole set, after a deadlock


class _RolledBack(Exception):
    """Carries an outcome out of a transaction that must not commit."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome


def _step(name: str) -> Callable[..., Any]:
    step: Callable[..., Any] = import_string(settings.COMMAND_STEPS[name])
    return step


def submit(command: Command, *, actor: Actor, key: Key | None = None) -> Done | Held:
    """Apply one command as `actor`.

    Returns `Done` with the changed row, or `Held` when an approval policy matched.
    Raises `NotFound`, `Denied`, `Invalid`, `Conflict` and their kin; then nothing changed but the audit trail.
    """
    return submit_all([command], actor=actor, key=key)


def submit_all(
    commands: Sequence[Command], *, actor: Actor, key: Key | None = None, ticket: Any | None = None
) -> Done | Held:
    """Apply a set: all of it and its record, or nothing but the denial or the request.

    `ticket` is an approved request's.
    """
    try:
        return _attempt(commands, actor, key, ticket)
    except _RolledBack as rolled:
        return Held(rolled.outcome())
    except Refused as refused:
        records.refuse(refused.error, refused.command, refused.target, actor)
        raise refused.error from None


def preview(commands: Sequence[Command], *, actor: Actor, refused: Refusals | None = None) -> Preview:
    """Run the same path and roll it back; nothing is recorded, called or held.

    With `refused`, what cannot pass is noted there by its position and left out, instead of being raised. Who would
    hold the rest is not asked then.
    """
    with intents.collect() as calls:
        try:
            with transaction.atomic(durable=True):
                cases, hold = _run(commands, actor, refused)
                held = None if refused else hold(cases, calls, ticket=None, dry_run=True)
                raise _RolledBack(Preview(cases, held, list(calls)))
        except _RolledBack as rolled:
            found: Preview = rolled.outcome
            # Asked of the rights as they are, not as the set would have made them.
            return replace(found, held=found.held and found.held())
        except Refused as one:
            raise one.error from None


def _is_deadlock(error: BaseException) -> bool:
    return isinstance(error, OperationalError) and getattr(error.__cause__, "sqlstate", None) in {"40001", "40P01"}


@retry(retry=retry_if_exception(_is_deadlock), stop=stop_after_attempt(1 + RETRIES), reraise=True)
def _attempt(commands: Sequence[Command], actor: Actor, key: Key | None, ticket: Any | None) -> Done:
    set_id = new_id()
    with intents.collect() as calls, transaction.atomic(durable=True):
        if key and (earlier := idempotency.claim(key, actor)):
            return Done([], [], earlier.refs, earlier.set_id, replayed=True)
        cases, hold = _run(commands, actor)
        if held := hold(cases, calls, ticket=ticket, dry_run=False):
            raise _RolledBack(held)
        refs = [(case.target.kind, case.target.id) for case in cases]
        if key:
            idempotency.settle(key, actor, set_id, refs)
        written = [records.of(case) for case in cases] + (ticket.records() if ticket else [])
        audit.append(written, actor=actor, set_id=set_id, approval=ticket)
    changes = [case.change for case in cases if case.change]
    return Done([change.row for change in changes], changes, refs, set_id)


def _run(commands: Sequence[Command], actor: Actor, refused: Refusals | None = None) -> tuple[list[Case], Hold]:
    """Run the set and return its cases, with the step that asks the policies of before it."""
    handlers = [handler_of(command) for command in commands]
    authorize = _step("authorize")(actor, handlers)
    hold = _step("hold")(actor, handlers)
    return list(Run(commands, actor, authorize, refused).cases(handlers)), hold
