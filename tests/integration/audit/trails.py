"""Chains to test on: entries appended as the product does, and the ways of somebody who owns the database."""

from pathlib import Path
from typing import Any  # column values
from uuid import UUID

from django.db import connection, transaction
from django.test import override_settings

from powerloom.audit import guards, log
from powerloom.audit.chain import GENESIS, link_hash
from powerloom.audit.models import ChainHead, Entry
from powerloom.audit.verification import links_of
from powerloom.kernel.refs import Actor, Target

ACME, GLOBEX = UUID(int=0xACE), UUID(int=0x61B)
NAMES = {ACME: "acme", GLOBEX: "globex"}


def actor(organization: UUID = ACME, *, ref: str = "user:alice@acme.com") -> Actor:
    return Actor(
        kind="user",
        id=UUID(int=1),
        principal_id=UUID(int=1),
        organization_id=organization,
        ref=ref,
        request_id="req_test",
        address="127.0.0.1",
    )


def target(organization: UUID = ACME, *, number: int = 9) -> Target:
    return Target(
        "agent", UUID(int=number), "code-reviewer", organization, f"/{NAMES.get(organization, 'x')}/platform/"
    )


def append(count: int, organization: UUID = ACME, *, saying: str = "") -> None:
    """Append entries, each in a transaction of its own."""
    for number in range(count):
        record = log.Record("agent:update", "UpdateAgent", target(organization), after={"n": number, "said": saying})
        log.record(record, actor=actor(organization))


def bodies(organization: UUID = ACME) -> list[str]:
    return [link.body for link in links_of(organization)]


def as_owner(statement: str, *parameters: Any) -> None:
    """Run SQL as somebody who owns the database and has taken the guards away."""
    with transaction.atomic(), connection.cursor() as cursor:
        for name in guards.GUARDS[connection.vendor]:
            suffix = f" ON {guards.TABLE}" if connection.vendor == "postgresql" else ""
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}{suffix}")
        cursor.execute(statement, parameters)


def raw(chain: UUID) -> Any:
    """The id as this database's columns hold it."""
    return chain if connection.vendor == "postgresql" else chain.hex


def rewrite_from(chain: UUID, seq: int) -> None:
    """Replace every body from an entry on, and link the forgery so that the chain alone cannot tell."""
    entries = list(Entry.objects.filter(chain_id=chain).order_by("seq"))
    prev = entries[seq - 2].hash if seq > 1 else GENESIS
    for entry in entries[seq - 1 :]:
        body = entry.body.replace('"said":""', '"said":"forged"')
        forged = link_hash(prev, body)
        as_owner(
            "UPDATE control_plane_audit SET body = %s, prev_hash = %s, hash = %s WHERE chain_id = %s AND seq = %s",
            body,
            prev,
            forged,
            raw(chain),
            entry.seq,
        )
        prev = forged
    ChainHead.objects.filter(pk=chain).update(hash=prev)


def heads_in(folder: Path) -> override_settings:
    """Settings under which heads are signed and read in a folder of this test."""
    return override_settings(AUDIT_HEADS=folder / "audit", AUDIT_KEY=folder / "signer" / "head.pem")
