"""What an entry says: its body, the columns copied out of it to search by, and the limit on what it carries. Pure.

The body covers everything, so that nothing about an entry can be changed unnoticed. It never holds a secret, because
commands never do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any  # before, after and asked are free-form JSON
from uuid import UUID

from powerloom.audit.chain import FORMAT_VERSION
from powerloom.kernel.canonical import canonical, digest
from powerloom.kernel.refs import Actor, Target

MAX_PAYLOAD = 16 * 1024  # bytes of canonical JSON for before, after and asked each
MAX_TEXT = 1024  # characters kept of one long value when a payload is over
MAX_FIELDS = 100  # names kept when even that is over

RECORDED = "recorded"

# How wide the columns are; what a body says beyond that is only in the body.
WIDTHS = {"actor_ref": 700, "action": 100, "decision": 20, "target_kind": 50, "target_name": 320, "request_id": 64}


@dataclass(frozen=True)
class Record:
    """One thing to be recorded. `asked` is a refused command, which changed nothing and so has no before and after.
    `approval_request_id` is the request that this is about, when the whole append is not for one.
    """

    action: str
    command: str
    target: Target
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    decision: dict[str, Any] = field(default_factory=lambda: {"outcome": RECORDED})
    asked: dict[str, Any] | None = None
    approval_request_id: UUID | None = None


@dataclass(frozen=True)
class Circumstances:
    """What all entries of one append share."""

    installation: UUID
    chain: UUID
    at: datetime
    set_id: UUID | None = None
    approval_request_id: UUID | None = None


def body_of(record: Record, *, seq: int, actor: Actor, circumstances: Circumstances) -> dict[str, Any]:
    """Return everything an entry says, as a JSON value."""
    target = record.target
    return {
        "v": FORMAT_VERSION,
        "installation": str(circumstances.installation),
        "chain": str(circumstances.chain),
        "seq": seq,
        "at": moment(circumstances.at),
        "actor": {"kind": actor.kind, "id": _text(actor.id), "ref": actor.ref, "token": _text(actor.token_id)},
        "delegated_from_session": _text(actor.delegated_from_session),
        "action": record.action,
        "command": record.command,
        "target": {"kind": target.kind, "id": str(target.id), "name": target.name, "ou_path": target.ou_path},
        "before": capped(record.before),
        "after": capped(record.after),
        "asked": capped(record.asked),
        "decision": record.decision,
        "approval_request_id": _text(record.approval_request_id or circumstances.approval_request_id),
        "set_id": _text(circumstances.set_id),
        "request_id": actor.request_id,
        "address": actor.address,
    }


def copies(body: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the search columns that belong to a body, as text. Raises KeyError or TypeError when it is not a body."""
    actor, target = body["actor"], body["target"]
    found = {
        "created_at": body["at"],
        "actor_id": actor["id"],
        "actor_ref": actor["ref"],
        "action": body["action"],
        "decision": body["decision"]["outcome"],
        "target_kind": target["kind"],
        "target_id": target["id"],
        "target_name": target["name"],
        "ou_path": target["ou_path"],
        "set_id": body["set_id"],
        "request_id": body["request_id"],
        "approval_request_id": body["approval_request_id"],
        "delegated_from_session": body["delegated_from_session"],
    }
    for name, width in WIDTHS.items():
        found[name] = found[name][:width]
    return found


def moment(at: datetime) -> str:
    """Return a moment as bodies write it: UTC, microseconds."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def capped(payload: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the payload, with long values replaced by digest and beginning when it is over `MAX_PAYLOAD`."""
    if payload is None or len(canonical(payload)) <= MAX_PAYLOAD:
        return payload
    shortened = {name: _shortened(value) for name, value in payload.items()}
    if len(canonical(shortened)) <= MAX_PAYLOAD:
        return shortened
    names = [name[:MAX_TEXT] for name in sorted(payload)[:MAX_FIELDS]]
    return {
        "sha256": digest(payload),
        "fields": names if len(canonical(names)) < MAX_PAYLOAD else [],
        "note": "too large to keep whole",
    }


def _shortened(value: Any) -> Any:
    text = value if isinstance(value, str) else canonical(value).decode()
    if len(text) <= MAX_TEXT:
        return value
    return {"sha256": digest(value), "length": len(text), "begins": text[:MAX_TEXT]}


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
