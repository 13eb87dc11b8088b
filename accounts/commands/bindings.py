"""Bindings: a role for a principal at an OU, to allow or to deny, perhaps until a moment."""

from __future__ import annotations

from typing import Any, ClassVar  # Any: JSON for the audit entry
from uuid import UUID

from django.utils import timezone

from accounts import escalation
from accounts.actions import Action
from accounts.closures import reached_by
from accounts.escalation import Widening
from accounts.expiry import make_way
from accounts.granters import actions_of
from accounts.models import Binding, DecisionType
from accounts.names import Moment
from accounts.queries import binding_for_change, contents_of, ou_for, principal_for, role_for
from powerloom.commands.registry import Change, Command, Subject, handles
from powerloom.kernel.errors import Invalid
from powerloom.kernel.refs import Actor, Target


class CreateBinding(Command):
    """Bind a role to a principal at an OU and all below. The same live binding again: nothing changes."""

    action: ClassVar[str] = Action.ROLE_BINDING_CREATE
    id: UUID
    principal_id: UUID
    role_id: UUID
    scope_ou_id: UUID
    decision_type: DecisionType = DecisionType.ALLOW
    expires_at: Moment | None = None


class DeleteBinding(Command):
    """End a binding."""

    action: ClassVar[str] = Action.ROLE_BINDING_DELETE
    binding_id: UUID


def load_create(command: CreateBinding, actor: Actor) -> Subject:
    scope = ou_for(actor, command.scope_ou_id)
    principal, role = principal_for(actor, command.principal_id), role_for(actor, command.role_id)
    if command.expires_at is not None and command.expires_at <= timezone.now():
        raise Invalid("A binding expires in the future.", field="expires_at")
    target = Target("role_binding", command.id, role.name, scope.organization_id, scope.path)
    return Subject((principal, role, scope, contents_of(principal, role)), target)


@handles(CreateBinding, load=load_create, changes_access=True)
def create_binding(command: CreateBinding, *, subject: Subject, actor: Actor) -> Change:
    principal, role, scope, _ = subject.row
    given = Widening(actions_of(role), scope.path, until=command.expires_at)
    if command.decision_type == DecisionType.ALLOW:
        escalation.require_held(actor, [given])
    else:
        escalation.refuse_denying_upward(actor, reached=reached_by([principal.id]), denied=[given])
    live = {"principal": principal, "role": role, "scope_ou": scope, "decision_type": command.decision_type}
    ended = make_way(Binding.objects.filter(**live, resource_id__isnull=True))
    binding, _ = Binding.objects.get_or_create(
        **live,
        ended_at__isnull=True,
        resource_id__isnull=True,
        defaults={"id": command.id, "organization_id": scope.organization_id, "expires_at": command.expires_at},
    )
    if command.decision_type == DecisionType.DENY:
        escalation.require_a_root_admin(scope.organization_id)
    return Change(binding, None, _shown(binding) | ended)


def load_delete(command: DeleteBinding, actor: Actor) -> Subject:
    binding = binding_for_change(actor, command.binding_id)
    return Subject(binding, binding.target())


@handles(DeleteBinding, load=load_delete, changes_access=True)
def delete_binding(command: DeleteBinding, *, subject: Subject, actor: Actor) -> Change:
    binding: Binding = subject.row
    if binding.decision_type == DecisionType.DENY:
        _check_freeing(actor, binding)
    binding.ended_at = timezone.now()
    binding.save(update_fields=["ended_at"])
    if binding.decision_type == DecisionType.ALLOW:
        escalation.require_a_root_admin(binding.organization_id)
    return Change(binding, _shown(binding), None, only_revokes=binding.decision_type == DecisionType.ALLOW)


def _check_freeing(actor: Actor, deny: Binding) -> None:
    freed = Widening(actions_of(deny.role), deny.scope_ou.path, deny.resource_id, deny.expires_at)
    escalation.require_held(actor, [freed])
    escalation.refuse_freeing_oneself(actor, [deny.id])


def _shown(binding: Binding) -> dict[str, Any]:
    return {
        "principal_ref": binding.principal.ref,
        "role": binding.role.name,
        "scope_ou_path": binding.scope_ou.path,
        "decision_type": binding.decision_type,
        "expires_at": binding.expires_at.isoformat() if binding.expires_at else None,
    }
