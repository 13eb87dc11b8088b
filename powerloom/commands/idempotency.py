"""Idempotency-Key: the same write asked twice within 24 hours is done once.

The row is written in the transaction of the write itself, so a key exists exactly when its change does. The body is
kept as a keyed HMAC, because it may have held a secret; the answer is kept as references, so a repeat renders the
things as they are now.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from powerloom.commands.models import IdempotencyRecord
from powerloom.kernel.errors import Invalid, KeyReused
from powerloom.kernel.refs import Actor

LIFETIME = timedelta(hours=24)
MAX_KEY = 255


@dataclass(frozen=True)
class Key:
    """What makes a request the same request: its route, the caller's key and the keyed digest of its body."""

    route: str
    value: str
    body_digest: str

    def __post_init__(self) -> None:
        if not 1 <= len(self.value) <= MAX_KEY or not (self.value.isascii() and self.value.isprintable()):
            raise Invalid(f"An Idempotency-Key has 1 to {MAX_KEY} ASCII characters.", field="Idempotency-Key")


@dataclass(frozen=True)
class Earlier:
    """The outcome recorded under a key."""

    refs: list[tuple[str, UUID]]
    set_id: UUID


def claim(key: Key, actor: Actor) -> Earlier | None:
    """Take the key inside the current transaction; return what it did before, if anything.

    Two requests with one key at the same moment take turns: the second waits here until the first has ended, and then
    finds what it did, or nothing if it was refused. Raises `KeyReused` when the key came with another body.
    """
    now = timezone.now()
    mine = {"actor_id": actor.id, "token_id": actor.token_id, "route": key.route, "key": key.value}
    IdempotencyRecord.objects.filter(**mine, created_at__lt=now - LIFETIME).delete()
    record, is_new = IdempotencyRecord.objects.get_or_create(
        **mine, defaults={"body_digest": key.body_digest, "created_at": now}
    )
    return None if is_new else _earlier(record, key)


def is_known(key: Key | None, actor: Actor) -> bool:
    """Tell whether the key was used before, for an edge that would rather not do costly work twice. The bus decides."""
    if key is None:
        return False
    mine = {"actor_id": actor.id, "token_id": actor.token_id, "route": key.route, "key": key.value}
    return IdempotencyRecord.objects.filter(**mine, created_at__gte=timezone.now() - LIFETIME).exists()


def settle(key: Key, actor: Actor, set_id: UUID, refs: list[tuple[str, UUID]]) -> None:
    """Record under the claimed key what was done; same transaction."""
    IdempotencyRecord.objects.filter(actor_id=actor.id, token_id=actor.token_id, route=key.route, key=key.value).update(
        set_id=set_id, refs=[[kind, str(id_)] for kind, id_ in refs]
    )


def sweep() -> None:
    """Forget the keys whose time is over."""
    IdempotencyRecord.objects.filter(created_at__lt=timezone.now() - LIFETIME).delete()


def _earlier(record: IdempotencyRecord, key: Key) -> Earlier:
    if record.body_digest != key.body_digest:
        raise KeyReused("This Idempotency-Key was used for a different request. Use a new key.")
    assert record.set_id is not None, "a key is seen by others only once its transaction has settled it"
    return Earlier([(kind, UUID(id_)) for kind, id_ in record.refs], record.set_id)
