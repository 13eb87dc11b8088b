"""Envelope encryption, pure: every value under a data key of its own, every data key wrapped by a master key.

    value --AES-256-GCM, data key--> ciphertext          data key --AES-256-GCM, master key--> wrapped key

Both are bound to the value's label (organization, kind, id, version) as additional data: a ciphertext that was copied
to another row, kind or tenant does not open. A new master key re-wraps data keys only; the values are not touched.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from powerloom.kernel.canonical import canonical

KEY_BYTES = 32
NONCE_BYTES = 12  # NIST SP 800-38D, section 8.2: 96 random bits; a data key seals one value only


class Unreadable(Exception):
    """The sealed value does not open: another label, another key, or changed bytes. Says no more than that."""


class KeyMissing(Exception):
    """The provider does not hold the master key of this id."""


@dataclass(frozen=True)
class MasterKey:
    """One version of the master key. Its bytes are kept out of `repr`, and so out of logs."""

    id: str
    key: bytes = field(repr=False)


class MasterKeys(Protocol):
    """Where master keys come from: a local file, or a cloud's secret store."""

    def current(self) -> MasterKey:
        """Return the key that wraps new values."""

    def named(self, key_id: str) -> MasterKey:
        """Return a key that wrapped earlier values. Raises `KeyMissing`."""

    def rotate(self) -> MasterKey:
        """Make a new key the current one and return it; earlier ones stay readable."""


@dataclass(frozen=True)
class Label:
    """What a sealed value belongs to. Any difference, and it does not open."""

    organization_id: UUID
    kind: str
    id: UUID
    version: int

    def data(self, purpose: str) -> bytes:
        """Return the additional data of one of the two encryptions."""
        return canonical([purpose, str(self.organization_id), self.kind, str(self.id), self.version])


@dataclass(frozen=True)
class Envelope:
    """A sealed value as it is stored."""

    key_id: str
    wrapped_key: bytes
    nonce: bytes
    ciphertext: bytes


def seal(value: bytes, label: Label, keys: MasterKeys) -> Envelope:
    """Encrypt the value under a new data key, wrapped by the current master key."""
    data_key, nonce = os.urandom(KEY_BYTES), os.urandom(NONCE_BYTES)
    ciphertext = AESGCM(data_key).encrypt(nonce, value, label.data("value"))
    master = keys.current()
    return Envelope(master.id, _wrap(data_key, label, master), nonce, ciphertext)


def unseal(envelope: Envelope, label: Label, keys: MasterKeys) -> bytes:
    """Return the value. Raises `Unreadable` under any other label, `KeyMissing` without its master key."""
    data_key = _unwrap(envelope.wrapped_key, label, keys.named(envelope.key_id))
    try:
        return AESGCM(data_key).decrypt(envelope.nonce, envelope.ciphertext, label.data("value"))
    except InvalidTag:
        raise Unreadable from None


def rewrap(envelope: Envelope, label: Label, keys: MasterKeys) -> Envelope:
    """Return the envelope with its data key under the current master key. Raises as `unseal`."""
    data_key, master = _unwrap(envelope.wrapped_key, label, keys.named(envelope.key_id)), keys.current()
    return Envelope(master.id, _wrap(data_key, label, master), envelope.nonce, envelope.ciphertext)


def _wrap(data_key: bytes, label: Label, master: MasterKey) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(master.key).encrypt(nonce, data_key, label.data("key"))


def _unwrap(wrapped: bytes, label: Label, master: MasterKey) -> bytes:
    nonce, ciphertext = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
    try:
        return AESGCM(master.key).decrypt(nonce, ciphertext, label.data("key"))
    except InvalidTag:
        raise Unreadable from None
