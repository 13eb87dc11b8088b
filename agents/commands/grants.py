"""Grants of one skill to one principal: allows in the same law as every binding, for that skill alone."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from django.utils import timezone

from accounts import escalation
from accounts.escalation import Widening
from accounts.models import Binding, DecisionType
from accounts.queries import principal_for
from accounts.roles import builtin_actions, builtin_id
from agents import queries
from agents.actions import Action
from agents.queries.skills import grant_of, grants_of
from powerloom.commands.registry import Change, Command, Subject, handles
from powerloom.kernel.refs import Actor

ROLE = "SkillUser"


class GrantSkill(Command):
    """Let a principal read and use this one skill. The actor must hold what is granted."""

    action: ClassVar[str] = Action.SKILL_GRANT
    id: UUID
    skill_id: UUID
    principal_id: UUID


class RevokeSkillGrant(Command):
    """End a grant."""

    action: ClassVar[str] = Action.SKILL_REVOKE_GRANT
    skill_id: UUID
    grant_id: UUID


def load_grant(command: GrantSkill, actor: Actor) -> Subject:
    skill = queries.skill_for_change(actor, command.skill_id)
    principal = principal_for(actor, command.principal_id)
    return Subject((skill, principal), skill.target())


@handles(GrantSkill, load=load_grant, changes_access=True)
def grant_skill(command: GrantSkill, *, subject: Subject, actor: Actor) -> Change:
    skill, principal = subject.row
    escalation.require_held(actor, [Widening(builtin_actions(ROLE), skill.ou.path, skill.id)])
    grant = grants_of(skill).filter(principal=principal, role_id=builtin_id(ROLE)).first()
    if grant is None:
        grant = Binding(
            id=command.id,
            organization_id=skill.organization_id,
            principal=principal,
            role_id=builtin_id(ROLE),
            scope_ou=skill.ou,
            resource_id=skill.id,
            decision_type=DecisionType.ALLOW,
        )
        grant.save(force_insert=True)
    return Change(grant, None, {"grant_id": str(grant.id), "principal_ref": principal.ref})


def load_revoke(command: RevokeSkillGrant, actor: Actor) -> Subject:
    skill = queries.skill_for_change(actor, command.skill_id)
    return Subject(grant_of(skill, command.grant_id), skill.target())


@handles(RevokeSkillGrant, load=load_revoke, changes_access=True, holdable=False)
def revoke_skill_grant(command: RevokeSkillGrant, *, subject: Subject, actor: Actor) -> Change:
    grant: Binding = subject.row
    grant.ended_at = timezone.now()
    grant.save(update_fields=["ended_at"])
    return Change(grant, {"grant_id": str(grant.id), "principal_ref": grant.principal.ref}, None)
