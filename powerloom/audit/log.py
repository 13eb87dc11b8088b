"""Appending to the trail. `append` runs in the transaction of the change: no entry, no change.

A refusal changed nothing, so it is written in a transaction of its own. Equal refusals within a minute make one entry,
and one actor makes at most `MOST_REFUSALS` in a minute: a flood of them waits for itself, not for the head of the
chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any  # a ticket is approvals' own type; what was asked is free-form JSON
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from powerloom.audit.bodies import Circumstances, Record, body_of, capped, copies
from powerloom.audit.chain import GENESIS, INSTALLATION_CHAIN, link_hash
from powerloom.audit.models import ChainHead, DenialWindow, Entry, Installation
from powerloom.kernel.canonical import canonical, digest
from powerloom.kernel.errors import PowerloomError
from powerloom.kernel.refs import Actor, Target

__all__ = ["MOST_REFUSALS", "Record", "append", "chain_of", "installation_id", "record", "refuse"]

MOST_REFUSALS = 60  # different ones of one actor within a minute; the rest of that minute is one entry


def append(records: Sequence[Record], *, actor: Actor, set_id: UUID | None = None, approval: Any | None = None) -> None:
    """Append the records, in order, to the actor's chain (the system's: the target's), in the caller's transaction."""
    head = _locked_head(actor.organization_id or chain_of(records[0].target.organization_id))
    circumstances = Circumstances(
        installation=installation_id(),
        chain=head.chain_id,
        at=timezone.now(),
        set_id=set_id,
        approval_request_id=getattr(approval, "id", None),
    )
    entries = []
    for record in records:
        entry = _next_entry(head, record, actor, circumstances)
        head.seq, head.hash = entry.seq, entry.hash
        entries.append(entry)
    Entry.objects.bulk_create(entries)
    head.save(update_fields=["seq", "hash"])


def record(record: Record, *, actor: Actor) -> None:
    """Append one thing that is not a command (a sign-in, a failed replay) in a transaction of its own."""
    with transaction.atomic(durable=True):
        append([record], actor=actor)


def refuse(*, actor: Actor, action: str, error: PowerloomError, target: Target | None, asked: dict[str, Any]) -> None:
    """Record a refusal (403, or a 404 that may hide something) in the actor's own chain."""
    same = digest([str(actor.organization_id), actor.ref, action, error.code, _wanted(asked)])
    minute = timezone.now().replace(second=0, microsecond=0)
    if _counted_again(same, minute):
        return
    place = target or Target("unknown", _asked_id(asked), "", actor.organization_id, "")
    outcome = "not_found" if error.status == 404 else "denied"
    decision = {"outcome": outcome, "message": error.message, "detail": capped(dict(error.detail))}
    with transaction.atomic(durable=True):
        number = _numbered(digest([str(actor.organization_id), actor.ref]), minute)
        if number <= MOST_REFUSALS and DenialWindow.objects.get_or_create(fingerprint=same, minute=minute)[1]:
            append([Record(action, "", place, decision=decision, asked=asked)], actor=actor)
        if number == MOST_REFUSALS + 1:
            append([_flood(actor, outcome)], actor=actor)


@cache
def installation_id() -> UUID:
    """Return the id of this installation."""
    return Installation.objects.get().id


def chain_of(organization_id: UUID | None) -> UUID:
    """Return the chain of an organization, or the installation's own."""
    return organization_id or INSTALLATION_CHAIN


def _wanted(asked: dict[str, Any]) -> dict[str, Any]:
    """Return what was asked without the id that the edge mints anew for every create."""
    return {name: value for name, value in asked.items() if name != "id"}


def _counted_again(fingerprint: str, minute: datetime) -> bool:
    known = DenialWindow.objects.filter(fingerprint=fingerprint, minute=minute)
    return known.update(count=F("count") + 1) == 1


def _numbered(fingerprint: str, minute: datetime) -> int:
    windows = DenialWindow.objects.select_for_update()
    window, is_new = windows.get_or_create(fingerprint=fingerprint, minute=minute)
    if not is_new:
        window.count += 1
        window.save(update_fields=["count"])
    return window.count


def _flood(actor: Actor, outcome: str) -> Record:
    message = f"More than {MOST_REFUSALS} different refusals within a minute; the rest of it is only counted."
    place = Target("principal", actor.id or INSTALLATION_CHAIN, actor.ref, actor.organization_id, "")
    return Record("access:flood", "", place, decision={"outcome": outcome, "message": message})


def _asked_id(asked: dict[str, Any]) -> UUID:
    """Return the id of what was asked about: the first field that names another thing."""
    for name, value in asked.items():
        if name.endswith("_id") and isinstance(value, str):
            try:
                return UUID(value)
            except ValueError:
                continue
    return INSTALLATION_CHAIN


def _locked_head(chain_id: UUID) -> ChainHead:
    heads = ChainHead.objects.select_for_update()
    head, _ = heads.get_or_create(chain_id=chain_id, defaults={"hash": GENESIS})
    return head


def _next_entry(head: ChainHead, record: Record, actor: Actor, circumstances: Circumstances) -> Entry:
    seq = head.seq + 1
    stated = body_of(record, seq=seq, actor=actor, circumstances=circumstances)
    body = canonical(stated).decode()
    return Entry(
        chain_id=head.chain_id,
        seq=seq,
        prev_hash=head.hash,
        hash=link_hash(head.hash, body),
        body=body,
        **copies(stated),
    )
