"""The audit trail as somebody may read it: `audit:read` decides by the OU of what was changed.

An entry about no OU (a token, the organization itself, something unknown) counts as one about the root.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts import queries, rbac
from accounts.actions import Action
from powerloom.audit.models import Entry
from powerloom.kernel.errors import NotFound
from powerloom.kernel.refs import Actor

NOWHERE = Q(pk__in=[])
REFUSED = ("denied", "not_found")


def entries_visible_to(actor: Actor) -> QuerySet[Entry]:
    """Return the entries of the actor's organization that it may read, and the refusals that it met itself.

    Two queries whatever the bindings.
    """
    grants = [grant for grant in rbac.grants(actor, [Action.AUDIT_READ]) if grant.resource_id is None]
    allowed = _under(grant.scope_path for grant in grants if grant.allows)
    denied = _under(grant.scope_path for grant in grants if not grant.allows)
    own = Q(actor_id=actor.id, decision__in=REFUSED)
    mine = Q(chain_id=actor.organization_id)
    return Entry.objects.filter(mine & (allowed & ~denied | own) & _narrowed(actor))


def own_chain(actor: Actor, action: str) -> UUID:
    """Return the chain of the actor's organization, for who may do `action` on all of it. Raises `Denied`."""
    root = queries.root_of(actor)
    decision = rbac.may(actor, action, root.path)
    if not decision.allowed:
        raise rbac.refusal(actor, action, root.target(), decision)
    return root.organization_id


def entry_visible_to(actor: Actor, seq: int) -> Entry:
    """Return one entry of the actor's chain by its number. Raises `NotFound`."""
    found = entries_visible_to(actor).filter(seq=seq).first()
    if found is None:
        raise NotFound
    return found


def _under(paths: Iterable[str]) -> Q:
    law = NOWHERE
    for path in paths:
        law |= Q(ou_path__startswith=path)
        if _is_root(path):
            law |= Q(ou_path="")
    return law


def _narrowed(actor: Actor) -> Q:
    narrowing = actor.narrowing
    if narrowing is None:
        return Q()
    if narrowing.actions is not None and Action.AUDIT_READ not in narrowing.actions:
        return NOWHERE
    return _under([narrowing.ou_path]) if narrowing.ou_path else Q()


def _is_root(path: str) -> bool:
    return path.strip("/").count("/") == 0
