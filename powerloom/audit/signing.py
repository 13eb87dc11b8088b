"""Signing the heads: what was appended since the last record is verified, and only what holds is signed.

So a rewrite of what was signed, a cut tail or a restored old copy is found here first, within one period: the chain is
then not signed any further, and the fault is said every time until somebody has looked. After a restore that was meant,
begin a new log: move the old one away and keep it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from powerloom.audit.bodies import moment
from powerloom.audit.chain import Head, Verdict, verify
from powerloom.audit.head_files import HeadFile, shared, signing_key
from powerloom.audit.heads import HeadLog, signed_record
from powerloom.audit.log import installation_id
from powerloom.audit.models import ChainHead
from powerloom.audit.verification import links_of


@dataclass
class Signed:
    """What one round did: the heads it signed, and the chains that it refused to sign with the reason."""

    heads: list[Head] = field(default_factory=list)
    faults: dict[UUID, str] = field(default_factory=dict)


def sign() -> Signed:
    """Sign where every chain stands now, if it moved. Raises `KeyTrouble` and `BadHeads`."""
    files = shared()
    key = signing_key(files, settings.AUDIT_KEY)
    with files.appending() as log:
        found = _looked_at(log)
        if found.heads:
            line = signed_record(
                key,
                installation=installation_id(),
                number=log.number + 1,
                prev=log.last,
                at=moment(timezone.now()),
                heads=found.heads,
            )
            files.append(line)
    return found


def _looked_at(log: HeadLog) -> Signed:
    found = Signed()
    chains = {*ChainHead.objects.values_list("chain_id", flat=True), *log.newest}
    for chain in sorted(chains):
        known = log.newest.get(chain)
        verdict = _since(chain, known.head if known else None)
        if not verdict.is_intact:
            found.faults[chain] = f"entry {verdict.bad_seq}: {verdict.reason}"
        elif verdict.count > (known.head.seq if known else 0):
            found.heads.append(Head(chain, verdict.count, verdict.last_hash))
    return found


def _since(chain: UUID, known: Head | None) -> Verdict:
    """Verify from the last signed entry on, that entry included: it must still be what was signed."""
    if known is None:
        return verify(chain, links_of(chain), installation=installation_id())
    before = links_of(chain, after=known.seq - 1)
    last = next(before, None)
    if last is None or last.seq != known.seq:
        reason = f"entry {known.seq} was signed and is gone: the tail is cut off, or an old copy was restored"
        return Verdict(0, "", known.seq, reason)
    if last.hash != known.hash:
        return Verdict(0, "", known.seq, "it is not the entry that was signed")
    return verify(chain, before, installation=installation_id(), after=known)


__all__ = ["HeadFile", "Signed", "sign"]
