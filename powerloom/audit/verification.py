"""Verifying the chains where they lie: links, search columns against bodies, and everything against the signed heads.

Rows are read in batches by sequence number, so a chain of any length takes bounded memory and holds no transaction
open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any  # a column's value, a parsed body
from uuid import UUID

from django.db.models import CharField
from django.db.models.functions import Cast

from powerloom.audit.bodies import copies, moment
from powerloom.audit.chain import BrokenLink, Link, Verdict, parsed, verify
from powerloom.audit.heads import HeadLog
from powerloom.audit.log import installation_id
from powerloom.audit.models import ChainHead, Entry

BATCH = 2000
LINK = ("seq", "body", "prev_hash", "hash")
COPIES = ("created_at", "actor_ref", "action", "decision", "target_kind", "target_name", "ou_path", "request_id")
# Read as text: making a UUID of each would take longer than all the hashing.
COPIED_IDS = ("actor_id", "target_id", "set_id", "approval_request_id", "delegated_from_session")


def links_of(chain: UUID, *, after: int = 0) -> Iterator[Link]:
    """Return the links of a chain after a sequence number, in order."""
    for row in _rows(chain, LINK, after):
        yield Link(*row)


def verify_chain(chain: UUID, log: HeadLog | None = None) -> Verdict:
    """Verify one chain from its beginning, with its columns, against the signed heads of `log`."""
    before = ChainHead.objects.filter(pk=chain).first()
    heads = log.heads_of(chain) if log else []
    verdict = verify(chain, _checked_links(chain), installation=installation_id(), heads=heads)
    return _with_end(verdict, before, ChainHead.objects.filter(pk=chain).first()) if verdict.is_intact else verdict


def chains(log: HeadLog | None = None) -> list[UUID]:
    """Return every chain that there is, was, or should be."""
    known = Entry.objects.order_by().values_list("chain_id", flat=True).distinct()
    return sorted({*known, *ChainHead.objects.values_list("chain_id", flat=True), *(log.newest if log else ())})


def name_of(chain: UUID) -> str:
    """Return how people know a chain: its organization's name as its first entries say it, else its id."""
    if chain.int == 0:
        return "installation"
    path = Entry.objects.filter(chain_id=chain).exclude(ou_path="").order_by("seq").values_list("ou_path", flat=True)
    first = path.first()
    return first.strip("/").split("/")[0] if first else str(chain)


def _rows(chain: UUID, columns: Sequence[str | Cast], after: int) -> Iterator[tuple[Any, ...]]:
    entries = Entry.objects.filter(chain_id=chain).order_by("seq").values_list(*columns)
    while batch := list(entries.filter(seq__gt=after)[:BATCH]):
        yield from batch
        if len(batch) < BATCH:
            return
        after = batch[-1][0]


def _checked_links(chain: UUID) -> Iterator[Link]:
    for row in _rows(chain, (*LINK, *COPIES, *(Cast(name, CharField()) for name in COPIED_IDS)), 0):
        stated = parsed(row[1])
        if name := _differing(stated, row[len(LINK) :]):
            raise BrokenLink(f"its column {name} does not say what its body says")
        seq, body, prev_hash, hash_ = row[: len(LINK)]
        yield Link(seq, body, prev_hash, hash_, stated)


def _differing(stated: Any, columns: tuple[Any, ...]) -> str:
    try:
        said = copies(stated)
    except (KeyError, TypeError):
        return ""  # the link itself is wrong, and the chain says how
    texts, ids = columns[: len(COPIES)], columns[len(COPIES) :]
    for name, value in zip(COPIES, texts, strict=True):
        if said[name] != (moment(value) if name == "created_at" else value):
            return name
    for name, value in zip(COPIED_IDS, ids, strict=True):
        if _bare(said[name]) != _bare(value):
            return name
    return ""


def _bare(id_: str | None) -> str | None:
    """Return an id without its hyphens, which one of the databases does not keep."""
    return id_ and id_.replace("-", "")


def _with_end(verdict: Verdict, before: ChainHead | None, after: ChainHead | None) -> Verdict:
    """Compare with the row that the next entry will be appended to. It may have moved on while we read, never back."""
    if before and before.seq > verdict.count:
        reason = f"the head row says that entry {before.seq} was written, the chain ends at {verdict.count}"
    elif verdict.count and (after is None or after.seq < verdict.count):
        reason = "the head row lies behind the chain"
    elif after and after.seq == verdict.count and after.hash != verdict.last_hash:
        reason = "the head row has another hash than the last entry"
    else:
        return verdict
    return replace(verdict, bad_seq=verdict.count + 1, reason=reason)
