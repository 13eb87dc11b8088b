"""REST routes of the audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal  # Any: bodies are free-form JSON
from uuid import UUID

from annotated_types import Ge, Lt
from django.http import HttpRequest, HttpResponseBase
from ninja import Query, Router, Schema
from pydantic import AwareDatetime, ConfigDict, Field

from accounts import chain, trail
from powerloom.audit import queries
from powerloom.audit.models import Entry
from powerloom.web.answers import actor_of
from powerloom.web.lists import listing

router = Router(tags=["audit"])

DEFAULT_LIMIT = 50
# Dates that both databases can keep in every time zone.
Moment = Annotated[AwareDatetime, Ge(datetime(1970, 1, 2, tzinfo=UTC)), Lt(datetime(9999, 1, 1, tzinfo=UTC))]


class AuditQuery(Schema):
    """What to look for."""

    since: Moment | None = Field(None, description="Entries of this moment and later, with a time zone.")
    until: Moment | None = Field(None, description="Entries before this moment.")
    actor: str | None = Field(None, max_length=700, description="Who did it, as a reference: `user:a@b`.")
    action: str | None = Field(None, max_length=100, description="The whole action: `agent:create`.")
    action_verb: str | None = Field(None, max_length=100, description="The action's part after the colon: `create`.")
    decision: Literal["allowed", "denied", "not_found", "recorded"] | None = None
    resource_kind: str | None = Field(None, max_length=50, description="`agent`, `skill`, `session` …")
    resource_id: UUID | None = None
    approval_request_id: UUID | None = None
    request_id: str | None = Field(None, max_length=64)
    delegated_from_session: UUID | None = Field(None, description="What this session did for its user.")


class AuditEntry(Schema):
    """One entry, newest first in lists."""

    id: UUID
    seq: int = Field(description="Its place in the chain, from 1 without gaps.")
    created_at: datetime
    actor_principal_ref: str
    actor_principal_id: UUID | None
    action: str
    action_verb: str
    decision: str
    reason: str | None = Field(description="Why it was refused.")
    resource_kind: str
    resource_id: UUID | None
    resource_name: str
    ou_path: str
    before_json: dict[str, Any] | None
    after_json: dict[str, Any] | None
    approval_request_id: UUID | None
    set_id: UUID | None = Field(description="Shared by what was changed in one transaction.")
    request_id: str
    delegated_from_session: UUID | None
    prev_hash: str
    hash: str


class SignedHead(Schema):
    """Where a chain stood when the heads were last signed, with the signature (Ed25519, over canonical JSON)."""

    model_config = ConfigDict(extra="allow")

    number: int
    at: str
    chain: UUID
    seq: int
    hash: str
    signature: str


class ChainHead(Schema):
    """Where the chain ends now, and the newest signed head. Keep it elsewhere: it finds what is cut off later."""

    chain: UUID
    seq: int
    hash: str
    signed: SignedHead | None
    public_key: str | None


class ChainVerdict(Schema):
    """The outcome of verifying the chain."""

    chain: UUID
    intact: bool
    count: int
    last_hash: str
    signed: int = Field(description="The last entry that a signed head vouches for; 0 when none does.")
    first_bad_seq: int | None
    reason: str


@router.get("/audit", response={200: list[AuditEntry]})
def list_entries(request: HttpRequest, query: Query[AuditQuery]) -> HttpResponseBase:
    """List audit entries, newest first.

    Shows the entries about OUs where you have `audit:read`, and the refusals that you met yourself. 50 at a time
    unless `limit` says otherwise.
    """
    entries = queries.filtered(
        trail.entries_visible_to(actor_of(request)), queries.Filters(**query.model_dump(exclude_none=True))
    )
    return listing(request, entries, _rendered, key="seq", default_limit=DEFAULT_LIMIT)


@router.get("/audit/head", response={200: ChainHead})
def read_head(request: HttpRequest) -> dict[str, Any]:
    """Read where your organization's chain ends."""
    found = chain.ends(actor_of(request))
    return {
        "chain": found.chain,
        "seq": found.now.seq if found.now else 0,
        "hash": found.now.hash if found.now else "",
        "signed": found.signed.as_json() if found.signed else None,
        "public_key": found.public_key,
    }


@router.get("/audit/verify", response={200: ChainVerdict})
def verify_entries(request: HttpRequest) -> dict[str, Any]:
    """Verify your organization's whole chain against the signed heads."""
    own, verdict = chain.verified(actor_of(request))
    return {
        "chain": own,
        "intact": verdict.is_intact,
        "count": verdict.count,
        "last_hash": verdict.last_hash,
        "signed": verdict.signed,
        "first_bad_seq": verdict.bad_seq,
        "reason": verdict.reason,
    }


@router.get("/audit/export", response={200: str}, openapi_extra={"x-streams": "application/x-ndjson"})
def export_entries(request: HttpRequest) -> HttpResponseBase:
    """Export your organization's whole chain as JSON lines that prove themselves.

    Verify the file with `python -m powerloom.audit.offline FILE --public-key KEY`.
    """
    return chain.exported(request, actor_of(request))


def _rendered(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    return [_entry(entry) for entry in entries]


def _entry(entry: Entry) -> dict[str, Any]:
    said = queries.payload(entry)
    return {
        "id": entry.id,
        "seq": entry.seq,
        "created_at": entry.created_at,
        "actor_principal_ref": entry.actor_ref,
        "actor_principal_id": entry.actor_id,
        "action": entry.action,
        "action_verb": entry.action.partition(":")[2],
        "decision": entry.decision,
        "reason": said["decision"].get("message"),
        "resource_kind": entry.target_kind,
        "resource_id": entry.target_id,
        "resource_name": entry.target_name,
        "ou_path": entry.ou_path,
        "before_json": said["before"],
        "after_json": said["after"],
        "approval_request_id": entry.approval_request_id,
        "set_id": entry.set_id,
        "request_id": entry.request_id,
        "delegated_from_session": entry.delegated_from_session,
        "prev_hash": entry.prev_hash,
        "hash": entry.hash,
    }
