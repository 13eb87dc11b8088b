"""Asking for a right: always held, given for a time, under the authority of whoever approves."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar
from uuid import UUID

from django.utils import timezone
from pydantic import Field

from accounts.expiry import make_way
from accounts.granters import actions_of, smallest_role
from accounts.models import Binding, DecisionType, Role
from accounts.queries import contents_of, ou_for, role_for
from accounts.rbac import shown
from accounts.roles import known_actions
from approvals.actions import Action
from powerloom.commands.registry import Change, Command, Subject, handles
from powerloom.kernel.errors import Invalid
from powerloom.kernel.refs import Actor, Target

DEFAULT_SECONDS, LONGEST_SECONDS = 24 * 3600, 7 * 24 * 3600

Seconds = Annotated[int, Field(ge=60, le=LONGEST_SECONDS)]
Reason = Annotated[str, Field(min_length=1, max_length=2000)]


class CreateAccessRequest(Command):
    """Ask for a role at an OU, for oneself and for some time from the moment at which it is given.

    Nobody needs a right to ask. Whoever approves gives it: it takes what giving the role himself would take.
    """

    action: ClassVar[str] = Action.ACCESS_REQUEST_CREATE
    id: UUID
    ou_id: UUID
    role_id: UUID
    expires_in_seconds: Seconds = DEFAULT_SECONDS
    reason: Reason


def role_with(actor: Actor, action: str, role_id: UUID | None = None) -> Role:
    """Return the role to ask for: the named one, which must have the action, or else what was asked for would not be
    what is given; without one, the smallest that has it. Raises `Invalid`, `NotFound`.
    """
    if action not in known_actions():
        raise Invalid("There is no such action.", field="action")
    if role_id is None:
        return smallest_role(action, actor.organization_id)[0]
    role = role_for(actor, role_id)
    if action not in actions_of(role):
        raise Invalid(f"The role {role.name} does not have {action}. Name one that has, or none.", field="role_id")
    return role


def load_create(command: CreateAccessRequest, actor: Actor) -> Subject:
    if actor.kind != "user":
        raise Invalid("Only people ask for rights.")
    ou, role = ou_for(actor, command.ou_id), role_for(actor, command.role_id)
    target = Target("access_request", command.id, role.name, ou.organization_id, ou.path)
    return Subject((ou, role, contents_of(role)), target, own=True)


@handles(CreateAccessRequest, load=load_create, changes_access=True)
def create_access_request(command: CreateAccessRequest, *, subject: Subject, actor: Actor) -> Change:
    ou, role, _ = subject.row
    now = timezone.now()
    until = now + timedelta(seconds=command.expires_in_seconds)
    mine = {"principal_id": actor.id, "role": role, "scope_ou": ou, "decision_type": DecisionType.ALLOW}
    live = Binding.objects.filter(**mine, ended_at__isnull=True, resource_id__isnull=True)
    ended = make_way(live)
    binding, is_new = live.get_or_create(
        defaults={**mine, "id": command.id, "organization_id": ou.organization_id, "expires_at": until}
    )
    if not is_new and binding.expires_at is not None and binding.expires_at < until:
        binding.expires_at = until
        binding.save(update_fields=["expires_at"])
    given = {"role": role.name, "scope_ou_path": shown(ou.path), "principal_ref": actor.ref}
    return Change(binding, None, {**given, "seconds": command.expires_in_seconds, "reason": command.reason, **ended})
