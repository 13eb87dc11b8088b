"""Sealed values: written at the edge before a command, taken by the command, opened only where they are used.

A command carries the id of the sealed row, never the value. A row that no command took is swept after a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from accounts.models import Sealed
from powerloom.kernel import envelope
from powerloom.kernel.envelope import Envelope, Label, MasterKeys
from powerloom.kernel.errors import NotFound
from powerloom.kernel.ids import new_id

UNTAKEN_LIFETIME = timedelta(days=1)
BATCH = 100


def master_keys() -> MasterKeys:
    """Return the provider that `settings.MASTER_KEYS` names."""
    keys: MasterKeys = import_string(settings.MASTER_KEYS)()
    return keys


def seal(value: str, *, kind: str, organization_id: UUID, version: int = 1) -> UUID:
    """Seal a value for one command to take and return the sealed row's id."""
    row = sealed(value, kind=kind, organization_id=organization_id, version=version)
    row.save(force_insert=True)
    return row.id


def sealed(value: str, *, kind: str, organization_id: UUID, version: int = 1) -> Sealed:
    """As `seal`, for a row that the caller inserts together with others."""
    row = Sealed(id=new_id(), organization_id=organization_id, kind=kind, version=version)
    row.expires_at = timezone.now() + UNTAKEN_LIFETIME
    _fill(row, envelope.seal(value.encode(), _label(row), master_keys()))
    return row


def waiting(sealed_id: UUID, *, kind: str, organization_id: UUID | None) -> Sealed:
    """Return a sealed row that no command has taken yet. Raises `NotFound`: each is taken once, by its own tenant."""
    row = _waiting(kind, organization_id).filter(pk=sealed_id).first()
    if row is None:
        raise NotFound
    return row


def waiting_among(ids: Iterable[UUID], *, kind: str, organization_id: UUID | None) -> dict[UUID, Sealed]:
    """As `waiting`, for many at once, by id, locked; whichever was taken, or is not the tenant's, is absent."""
    rows = _waiting(kind, organization_id).filter(pk__in=set(ids)).order_by("pk").select_for_update(of=("self",))
    return {row.id: row for row in rows}


def take(row: Sealed) -> Sealed:
    """Keep a waiting row for good; in the transaction of the command. Raises `NotFound` when another one took it."""
    if Sealed.objects.filter(pk=row.pk, expires_at__isnull=False).update(expires_at=None) != 1:
        raise NotFound
    row.expires_at = None
    return row


def take_all(rows: Sequence[Sealed]) -> None:
    """As `take`, for rows that `waiting_among` locked."""
    untaken = Sealed.objects.filter(pk__in=[row.pk for row in rows], expires_at__isnull=False)
    if untaken.update(expires_at=None) != len(rows):
        raise NotFound
    for row in rows:
        row.expires_at = None


def keep(ids: Iterable[UUID], until: datetime) -> None:
    """Let the rows among these that no command took yet wait until then."""
    Sealed.objects.filter(pk__in=list(ids), expires_at__lt=until).update(expires_at=until)


def unseal(row: Sealed) -> str:
    """Return the value. Raises `envelope.Unreadable` or `envelope.KeyMissing`, which say nothing about it."""
    return envelope.unseal(_read(row), _label(row), master_keys()).decode()


def rewrap_all() -> int:
    """Bring every data key under the current master key, a batch at a time, and return how many there were.

    Rows stay readable throughout: each moves in one UPDATE, and both master keys are known meanwhile.
    """
    keys, done = master_keys(), 0
    while rows := list(Sealed.objects.exclude(key_id=keys.current().id).order_by("pk")[:BATCH]):
        for row in rows:
            done += _rewrap(row, keys)
    return done


def sweep_untaken() -> int:
    """Delete the sealed rows that no command took in time; return how many."""
    return Sealed.objects.filter(expires_at__lt=timezone.now()).delete()[0]


def _waiting(kind: str, organization_id: UUID | None) -> QuerySet[Sealed]:
    return Sealed.objects.filter(Q(organization_id=organization_id), kind=kind, expires_at__gt=timezone.now())


def _rewrap(row: Sealed, keys: MasterKeys) -> int:
    new = envelope.rewrap(_read(row), _label(row), keys)
    # Compare-and-set: a second rotation at the same time must not overwrite a newer wrapping with an older one.
    unmoved = Sealed.objects.filter(pk=row.pk, key_id=row.key_id)
    return unmoved.update(key_id=new.key_id, wrapped_key=new.wrapped_key)


def _label(row: Sealed) -> Label:
    return Label(row.organization_id, row.kind, row.id, row.version)


def _read(row: Sealed) -> Envelope:
    # psycopg answers memoryview where SQLite answers bytes.
    return Envelope(row.key_id, bytes(row.wrapped_key), bytes(row.nonce), bytes(row.ciphertext))


def _fill(row: Sealed, sealed: Envelope) -> None:
    row.key_id, row.wrapped_key = sealed.key_id, sealed.wrapped_key
    row.nonce, row.ciphertext = sealed.nonce, sealed.ciphertext
