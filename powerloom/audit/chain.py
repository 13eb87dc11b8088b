r"""The chain itself, pure: no database, no clock, no Django.

    hash = sha256(prev_hash + "\n" + body)

`body` is the canonical JSON of everything an entry says, stored as text and never serialized again; the first entry's
`prev_hash` is 64 zeros. Verification reads rows in order and names the first sequence number that does not hold. A
chain cannot see its own tail cut off, nor that it was rewritten from some entry on: signed heads kept elsewhere can.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any  # a parsed body
from uuid import UUID

from powerloom.kernel.canonical import text_digest

GENESIS = "0" * 64
INSTALLATION_CHAIN = UUID(int=0)
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Link:
    """One stored row: what the chain needs of it. Who has parsed the body already gives it along as `stated`."""

    seq: int
    body: str
    prev_hash: str
    hash: str
    stated: Any = None


@dataclass(frozen=True)
class Head:
    """Where a chain stood at some moment."""

    chain: UUID
    seq: int
    hash: str


@dataclass(frozen=True)
class Verdict:
    """The outcome of verifying one chain: where it ends, or the first sequence number that is wrong and why.

    `signed` is the last sequence number that a signed head vouches for.
    """

    count: int
    last_hash: str
    bad_seq: int | None = None
    reason: str = ""
    signed: int = 0

    @property
    def is_intact(self) -> bool:
        return self.bad_seq is None


class BrokenLink(Exception):
    """What a source of links may raise when a row itself is wrong; `verify` turns it into its verdict."""


def link_hash(prev_hash: str, body: str) -> str:
    """Return the hash of an entry: SHA-256 over the previous hash, a newline and the body's bytes."""
    return text_digest(f"{prev_hash}\n{body}")


def verify(
    chain: UUID,
    links: Iterable[Link],
    *,
    installation: UUID,
    heads: Sequence[Head] = (),
    after: Head | None = None,
) -> Verdict:
    """Check that the links are the gapless chain of `chain`, from its beginning or from `after` on.

    `heads` are signed heads of this chain: each must lie on it. Returns a `Verdict`; its `bad_seq` is the first
    sequence number that is missing, altered, moved, of another chain, or not what was signed.
    """
    seq, prev = (after.seq, after.hash) if after else (0, GENESIS)
    ahead = deque(sorted((head for head in heads if head.seq > seq), key=lambda head: head.seq))
    signed = seq if after else 0
    place = {"chain": str(chain), "installation": str(installation), "v": FORMAT_VERSION}
    try:
        for link in links:
            if reason := _fault(link, place, seq + 1, prev):
                return Verdict(seq, prev, seq + 1, reason, signed)
            seq, prev = link.seq, link.hash
            while ahead and ahead[0].seq == seq:
                if ahead.popleft().hash != prev:
                    return Verdict(seq, prev, signed + 1, _rewritten(signed + 1, seq), signed)
                signed = seq
    except BrokenLink as error:
        return Verdict(seq, prev, seq + 1, str(error), signed)
    if ahead:
        return Verdict(seq, prev, seq + 1, _cut(seq, ahead[-1].seq), signed)
    return Verdict(seq, prev, signed=signed)


def _fault(link: Link, place: dict[str, Any], seq: int, prev: str) -> str:
    if link.seq != seq:
        return f"entry {seq} is missing (found {link.seq})"
    if link.prev_hash != prev:
        return "it does not follow the entry before it"
    if link_hash(prev, link.body) != link.hash:
        return "its body was altered"
    stated = link.stated or parsed(link.body)
    if not isinstance(stated, dict) or any(stated.get(name) != value for name, value in place.items()):
        return "its body belongs to another chain, installation or format"
    return "" if stated.get("seq") == seq else "its body belongs to another place in the chain"


def parsed(body: str) -> Any:
    """Return what a body says, or None when it is not JSON."""
    try:
        return json.loads(body)
    except ValueError:
        return None


def _rewritten(first: int, last: int) -> str:
    return f"entries {first} to {last} are not those whose head was signed: they were rewritten"


def _cut(count: int, signed: int) -> str:
    if count == 0:
        return f"the whole chain is gone: entry {signed} was signed"
    return f"the tail is cut off, or an old copy was restored: entry {signed} was signed, the chain ends at {count}"
