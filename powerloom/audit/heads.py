"""Signed heads, pure: where every chain stood at a moment, signed with Ed25519 and kept outside the database.

The log is a text file, one record a line, only ever appended to:

    {"v", "kind": "heads", "installation", "number", "prev", "at", "heads": [{"chain", "seq", "hash", "signature"}],
     "signature"}

`prev` is the SHA-256 of the line before, `heads` are the chains that moved since. Every head has a signature of its own
over a `statement`, so that a tenant can be given its own without those of others. The fold of all records is the newest
known head of every chain: a cut tail, a restored old copy, a swapped chain and a dropped one all lie behind it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any  # parsed JSON
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from powerloom.audit.chain import GENESIS, Head
from powerloom.kernel.canonical import canonical, text_digest

VERSION = 1


class BadHeads(Exception):
    """A record or a statement that does not hold; the message names it."""


@dataclass(frozen=True)
class Statement:
    """One signed head: at `at`, this installation's record `number` said where the chain stood."""

    installation: UUID
    number: int
    at: str
    head: Head
    signature: str

    def as_json(self) -> dict[str, Any]:
        return _statement(self.installation, self.number, self.at, self.head) | {"signature": self.signature}

    @staticmethod
    def of(given: Mapping[str, Any], key: Ed25519PublicKey | None) -> Statement:
        """Return the statement that JSON states. Raises `BadHeads` when it is not one, or not signed with the key.

        No key: the record that it stands in is vouched for already.
        """
        try:
            head = Head(UUID(given["chain"]), int(given["seq"]), str(given["hash"]))
            found = Statement(UUID(given["installation"]), int(given["number"]), given["at"], head, given["signature"])
            stated = _statement(found.installation, found.number, found.at, head)
        except (KeyError, TypeError, ValueError) as error:
            raise BadHeads("this is not a signed head") from error
        if key is not None:
            _check(key, stated, found.signature, f"the signed head of chain {head.chain} at {head.seq}")
        return found


def _statement(installation: UUID, number: int, at: str, head: Head) -> dict[str, Any]:
    return {
        "v": VERSION,
        "kind": "head",
        "installation": str(installation),
        "number": number,
        "at": at,
        "chain": str(head.chain),
        "seq": head.seq,
        "hash": head.hash,
    }


@dataclass
class HeadLog:
    """The records read so far: each checked against the one before, and the newest statement of every chain.

    `keep` is a chain, or True for all: then `history` holds every head ever signed of it, so that a rewrite can be
    placed between two of them.
    """

    key: Ed25519PublicKey
    keep: UUID | bool = False
    installation: UUID | None = None
    number: int = 0
    last: str = GENESIS
    newest: dict[UUID, Statement] = field(default_factory=dict)
    history: dict[UUID, list[Head]] = field(default_factory=dict)

    def feed(self, lines: Sequence[str]) -> None:
        """Take the next lines. Raises `BadHeads` naming the first bad record; those before it are then taken.

        One good signature, of the last line, vouches for all of them: every record is signed with the hash of the one
        before it. Only when it fails are all signatures looked at, to say whose is bad.
        """
        vouched = self._is_vouched_for(lines)
        for line in lines:
            self._take(line, vouched=vouched)

    def _is_vouched_for(self, lines: Sequence[str]) -> bool:
        number, last = self.number, self.last
        try:
            for line in lines:
                record = _parsed(line, "")
                if (record.get("number"), record.get("prev")) != (number + 1, last):
                    return False
                number, last = number + 1, text_digest(line)
            if lines:
                _check_record(self.key, _parsed(lines[-1], ""), "")
        except BadHeads:
            return False
        return True

    def _take(self, line: str, *, vouched: bool) -> None:
        name = f"record {self.number + 1} of the head log"
        record = _parsed(line, name)
        if record.get("number") != self.number + 1 or record.get("prev") != self.last:
            raise BadHeads(f"{name} does not follow the one before it")
        if not vouched:
            _check_record(self.key, record, name)
        statements = [Statement.of(_spread(record, head), None if vouched else self.key) for head in record["heads"]]
        self._refuse_steps_back(statements, UUID(record["installation"]), name)
        self.installation, self.number, self.last = UUID(record["installation"]), record["number"], text_digest(line)
        for statement in statements:
            chain = statement.head.chain
            self.newest[chain] = statement
            if self.keep is True or self.keep == chain:
                self.history.setdefault(chain, []).append(statement.head)

    def heads_of(self, chain: UUID) -> list[Head]:
        """Return what is known of a chain: all its signed heads when they are kept, else the newest."""
        newest = self.newest.get(chain)
        return self.history.get(chain) or ([newest.head] if newest else [])

    def _refuse_steps_back(self, statements: Iterable[Statement], installation: UUID, name: str) -> None:
        if self.installation not in {None, installation}:
            raise BadHeads(f"{name} is of another installation")
        for statement in statements:
            known = self.newest.get(statement.head.chain)
            if known and statement.head.seq <= known.head.seq:
                raise BadHeads(f"{name} takes chain {statement.head.chain} back")


def signed_record(
    key: Ed25519PrivateKey, *, installation: UUID, number: int, prev: str, at: str, heads: Iterable[Head]
) -> str:
    """Return the line of a new record, without its newline."""
    signed = []
    for head in heads:
        stated = _statement(installation, number, at, head)
        signature = _signature(key, stated)
        signed.append({"chain": str(head.chain), "seq": head.seq, "hash": head.hash, "signature": signature})
    record = {
        "v": VERSION,
        "kind": "heads",
        "installation": str(installation),
        "number": number,
        "prev": prev,
        "at": at,
        "heads": signed,
    }
    return canonical(record | {"signature": _signature(key, record)}).decode()


def public_key(pem: bytes) -> Ed25519PublicKey:
    """Return the public key in a PEM file. Raises `BadHeads` when it is not an Ed25519 key."""
    try:
        key = load_pem_public_key(pem)
    except ValueError as error:
        raise BadHeads("this is not a public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise BadHeads("the public key is not an Ed25519 key")
    return key


def public_pem(key: Ed25519PublicKey) -> str:
    """Return the PEM text of a public key."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _signature(key: Ed25519PrivateKey, stated: Mapping[str, Any]) -> str:
    return base64.b64encode(key.sign(canonical(dict(stated)))).decode()


def _check_record(key: Ed25519PublicKey, record: Mapping[str, Any], name: str) -> None:
    unsigned = {part: value for part, value in record.items() if part != "signature"}
    _check(key, unsigned, record.get("signature"), name)


def _check(key: Ed25519PublicKey, stated: Mapping[str, Any], signature: object, name: str) -> None:
    try:
        key.verify(base64.b64decode(str(signature), validate=True), canonical(dict(stated)))
    except (InvalidSignature, ValueError) as error:
        raise BadHeads(f"{name} is not signed with this key") from error


def _parsed(line: str, name: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise BadHeads(f"{name} is not JSON") from error
    if not isinstance(record, dict) or record.get("kind") != "heads" or not isinstance(record.get("heads"), list):
        raise BadHeads(f"{name} is not a record of heads")
    return record


def _spread(record: Mapping[str, Any], head: object) -> dict[str, Any]:
    shared = {name: record.get(name) for name in ("installation", "number", "at")}
    return shared | head if isinstance(head, dict) else shared
