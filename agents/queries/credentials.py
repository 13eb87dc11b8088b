"""Reads of credentials. Never a value: that is opened only for the push to the vault, and for the one reveal."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts import rbac
from agents.actions import Action
from agents.models import Credential
from powerloom.kernel.errors import NotFound
from powerloom.kernel.refs import Actor


def credentials_visible_to(actor: Actor) -> QuerySet[Credential]:
    """Return the live credentials that the actor may read, with their agent's OU and their server."""
    return (
        Credential.objects.filter(Q(organization_id=actor.organization_id), archived_at__isnull=True)
        .filter(rbac.permitted(actor, Action.CREDENTIAL_READ, ou_field="agent__ou_id"))
        .select_related("agent__ou", "server__ou")
    )


def credential_for_read(actor: Actor, credential_id: UUID) -> Credential:
    """Return a live credential that the actor may read. Raises `NotFound`."""
    return _one(credentials_visible_to(actor), credential_id)


def credential_for_change(actor: Actor, credential_id: UUID) -> Credential:
    """As `credential_for_read`, locked until the end of the transaction, and with its sealed value."""
    rows = credentials_visible_to(actor).select_related("agent__ou", "server__ou", "sealed")
    return _one(rows.select_for_update(of=("self",)), credential_id)


def credentials_for_change(actor: Actor, ids: Iterable[UUID]) -> dict[UUID, Credential]:
    """As `credential_for_change`, for many at once, by id, locked in the order of their ids; the unseen are absent."""
    rows = credentials_visible_to(actor).select_related("agent__ou", "server__ou", "sealed").filter(pk__in=set(ids))
    return {credential.id: credential for credential in rows.order_by("pk").select_for_update(of=("self",))}


def credentials_of_many(agent_ids: Iterable[UUID]) -> dict[UUID, list[Credential]]:
    """Return the live credentials of agents that the caller already holds, by agent, with their servers; one query."""
    found: dict[UUID, list[Credential]] = {id_: [] for id_ in agent_ids}
    live = Credential.objects.filter(agent__in=list(found), archived_at__isnull=True)
    for credential in live.select_related("agent__ou", "server__ou").order_by("pk"):
        found[credential.agent_id].append(credential)
    return found


def _one(rows: QuerySet[Credential], credential_id: UUID) -> Credential:
    found = rows.filter(pk=credential_id).first()
    if found is None:
        raise NotFound
    return found
