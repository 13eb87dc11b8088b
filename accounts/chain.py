"""An organization's chain as a whole: its head, its proof, and itself as a file, for who may read or export it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.http import HttpRequest, HttpResponseBase

from accounts import trail
from accounts.actions import Action
from powerloom.audit import export, log, queries
from powerloom.audit.chain import Head, Verdict
from powerloom.audit.head_files import HeadFile, shared
from powerloom.audit.heads import BadHeads, HeadLog, Statement, public_pem
from powerloom.audit.verification import verify_chain
from powerloom.kernel.errors import Unavailable
from powerloom.kernel.refs import Actor, Target
from powerloom.web.lists import streamed


@dataclass(frozen=True)
class Ends:
    """Where a chain ends now, the newest signed head of it, and the key (PEM) that its signature is checked with."""

    chain: UUID
    now: Head | None
    signed: Statement | None
    public_key: str | None


def ends(actor: Actor) -> Ends:
    """Return where the actor's chain ends. Raises `Denied`, `Unavailable`."""
    chain = trail.own_chain(actor, Action.AUDIT_READ)
    heads = _signed_heads(shared())
    newest = heads.newest.get(chain) if heads else None
    return Ends(chain, queries.head_of(chain), newest, public_pem(heads.key) if heads else None)


def verified(actor: Actor) -> tuple[UUID, Verdict]:
    """Verify the actor's whole chain against the signed heads. Raises `Denied`, `Unavailable`."""
    chain = trail.own_chain(actor, Action.AUDIT_READ)
    return chain, verify_chain(chain, _signed_heads(HeadFile(shared().folder, keep=chain)))


def exported(request: HttpRequest, actor: Actor) -> HttpResponseBase:
    """Answer with the actor's whole chain as JSON lines that prove themselves, and record that it was taken. Raises
    `Denied`, `Unavailable`.
    """
    chain = trail.own_chain(actor, Action.AUDIT_EXPORT)
    _signed_heads(shared())
    log.record(log.Record(Action.AUDIT_EXPORT, "", Target("audit", chain, "", chain, "")), actor=actor)
    response = streamed(request, export.of_chain(chain, shared()), content_type="application/x-ndjson")
    response.headers["Content-Disposition"] = 'attachment; filename="audit.jsonl"'
    return response


def _signed_heads(files: HeadFile) -> HeadLog | None:
    """Return the log of signed heads. Raises `Unavailable` when it does not hold: nothing can be proved by it then."""
    try:
        return files.log()
    except BadHeads as error:
        raise Unavailable(f"The log of signed heads does not hold: {error}. Tell your operator.") from error
