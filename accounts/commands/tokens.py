"""Long-lived tokens. A token made by a token is at most as wide, lives at most as long and ends with it.

Whoever makes a token for an agent may from then on use the agent's rights, so it must hold them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, ClassVar
from uuid import UUID

from django.db.models import Q
from django.utils import timezone
from pydantic import Field

from accounts import escalation, queries, rbac, roles
from accounts.actions import Action
from accounts.models import OU, AccessToken, Principal, PrincipalKind
from accounts.names import Moment
from accounts.principals import home_path
from powerloom.commands.registry import Change, Command, Subject, handles
from powerloom.kernel.errors import Denied, Invalid
from powerloom.kernel.explanation import Remedy
from powerloom.kernel.refs import Actor, Target

LIFETIME = timedelta(days=90)
LONGEST_LIFETIME = timedelta(days=366)
MOST_LIVE = 100  # tokens of one principal

WIDER = Remedy("token", "Use a token that is not narrowed so far, or sign in.")

TokenName = Annotated[str, Field(min_length=1, max_length=255)]


class CreateToken(Command):
    """Make a token of oneself, or of an agent; optionally for some actions only (`agent:read`, `agent:*`) or one OU."""

    action: ClassVar[str] = Action.TOKEN_CREATE
    id: UUID
    principal_id: UUID
    name: TokenName
    prefix: str
    digest: str = Field(exclude=True)  # the keyed hash of the token; not part of what a refusal records
    expires_at: Moment | None = None
    actions: tuple[str, ...] | None = None
    ou_id: UUID | None = None


class RevokeToken(Command):
    """End a token of a principal, and every token it made, at once."""

    action: ClassVar[str] = Action.TOKEN_REVOKE
    principal_id: UUID
    token_id: UUID


def load_create(command: CreateToken, actor: Actor) -> Subject:
    principal = queries.principal_for(actor, command.principal_id)
    if principal.kind not in {PrincipalKind.USER, PrincipalKind.AGENT}:
        raise Invalid("Only people and agents have tokens.", field="principal_id")
    ou = queries.ou_for(actor, command.ou_id) if command.ou_id else None
    target = Target("token", command.id, command.name, principal.organization_id, home_path(principal))
    return Subject((principal, ou), target, own=principal.id == actor.id)


@handles(CreateToken, load=load_create, changes_access=True, holdable=False)
def create_token(command: CreateToken, *, subject: Subject, actor: Actor) -> Change:
    principal, ou = subject.row
    _check_lending(principal, actor)
    maker = AccessToken.objects.select_related("ou").filter(Q(pk=actor.token_id)).first()
    _refuse_too_many(principal)
    token = AccessToken(
        id=command.id,
        organization_id=principal.organization_id,
        principal=principal,
        name=command.name,
        prefix=command.prefix,
        hmac=command.digest,
        actions=_actions(command.actions, maker),
        ou=_ou(ou, maker),
        made_by_token=maker,
        expires_at=_expiry(command.expires_at, maker),
    )
    token.save(force_insert=True)
    return Change(token, None, _described(token))


def load_revoke(command: RevokeToken, actor: Actor) -> Subject:
    token = queries.token_for_change(actor, command.principal_id, command.token_id)
    home = home_path(token.principal)
    target = Target("token", token.id, token.name, token.organization_id, home)
    return Subject(token, target, own=token.principal_id == actor.id)


@handles(RevokeToken, load=load_revoke, changes_access=True, holdable=False)
def revoke_token(command: RevokeToken, *, subject: Subject, actor: Actor) -> Change:
    token: AccessToken = subject.row
    if token.revoked_at is None:
        token.revoked_at = timezone.now()
        ended = _made_by([token.id]) | {token.id}
        AccessToken.objects.filter(pk__in=ended, revoked_at__isnull=True).update(revoked_at=token.revoked_at)
    return Change(token, _described(token), {"revoked": True})


def _check_lending(principal: Principal, actor: Actor) -> None:
    if principal.id == actor.id:
        return
    if principal.kind == PrincipalKind.USER:
        raise Denied(
            "A person's tokens are made by nobody else.",
            permission=str(Action.TOKEN_CREATE),
            remedy=[Remedy("ask", "Have the person make it.", (principal.ref,))],
        )
    lent = rbac.grants_of_many([principal.acts_as_id or principal.id])
    escalation.require_held(actor, escalation.allows(lent))


def _refuse_too_many(principal: Principal) -> None:
    if AccessToken.objects.live().filter(principal=principal).count() >= MOST_LIVE:
        raise Invalid(f"{principal.ref} has {MOST_LIVE} tokens already. Revoke one first.", field="name")


def _actions(asked: tuple[str, ...] | None, maker: AccessToken | None) -> list[str] | None:
    """Return what the token is narrowed to: known actions, no more than the maker has, and what is given by name alone
    only where it is named. Raises both ways.
    """
    held = None if maker is None else maker.actions
    if asked is None:
        return held
    wanted = roles.expand(asked)
    unknown = [entry for entry in asked if not roles.expand([entry])]
    if unknown or not asked:
        raise Invalid(f"There is no action {', '.join(unknown) or 'in an empty list'}.", field="actions")
    wanted -= rbac.ONLY_BY_NAME - set(asked)
    beyond = wanted - set(held) if held is not None else wanted & rbac.ONLY_BY_NAME if maker else set()
    if beyond:
        raise Denied(
            f"The token you use does not have {', '.join(sorted(beyond))}.",
            permission=min(beyond),
            remedy=[WIDER],
        )
    return sorted(wanted)


def _ou(asked: OU | None, maker: AccessToken | None) -> OU | None:
    held = None if maker is None else maker.ou
    if asked is None or held is None:
        return asked or held
    if not asked.path.startswith(held.path):
        raise Denied(f"The token you use reaches no further than {rbac.shown(held.path)}.", remedy=[WIDER])
    return asked


def _expiry(asked: datetime | None, maker: AccessToken | None) -> datetime:
    """Return when the token ends: as asked, by default in 90 days, and never after the token that makes it."""
    now = timezone.now()
    if asked is not None and not now < asked <= now + LONGEST_LIFETIME:
        raise Invalid(f"A token expires in the future, within {LONGEST_LIFETIME.days} days.", field="expires_at")
    wanted = asked or now + LIFETIME
    return min(wanted, maker.expires_at) if maker is not None and maker.expires_at is not None else wanted


def _made_by(token_ids: Iterable[UUID]) -> set[UUID]:
    """Return every token that these made, and those made, and so on."""
    found: set[UUID] = set()
    frontier = set(token_ids)
    while frontier:
        made = AccessToken.objects.filter(made_by_token__in=frontier).values_list("id", flat=True)
        frontier = set(made) - found
        found |= frontier
    return found


def _described(token: AccessToken) -> dict[str, object]:
    return {
        "name": token.name,
        "prefix": token.prefix,
        "principal_ref": token.principal.ref,
        "actions": token.actions,
        "ou_path": rbac.shown(token.ou.path) if token.ou else None,
        "expires_at": token.expires_at.isoformat() if token.expires_at else None,
    }
