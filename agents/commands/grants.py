"""Grants of one skill to one principal: allows in the same law as every binding, for that skill alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from django.utils import timezone

from accounts import escalation, rbac
from accounts.escalation import Widening
from accounts.granters import Granters
from accounts.models import Binding, DecisionType, Principal
from accounts.queries import principals_for
from accounts.roles import builtin_actions, builtin_id
from agents.actions import Action
from agents.models import Skill
from agents.queries.skills import grants_for_change, grants_of_many, skills_for_use
from powerloom.commands.registry import Change, Command, Found, Subject, each, handles_all
from powerloom.kernel.errors import NotFound
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


def load_grants(commands: Sequence[GrantSkill], actor: Actor) -> list[Found]:
    skills = skills_for_use(actor, [command.skill_id for command in commands])
    principals = principals_for(actor, [command.principal_id for command in commands])
    found: list[Found] = []
    for command in commands:
        skill, principal = skills.get(command.skill_id), principals.get(command.principal_id)
        if skill is None or principal is None:
            found.append(NotFound())
        else:
            found.append(Subject((skill, principal), skill.target()))
    return found


@handles_all(GrantSkill, load=load_grants, changes_access=True)
def grant_skills(commands: Sequence[GrantSkill], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    held, granters = rbac.grants(actor), Granters(actor.organization_id)
    there = {
        (grant.resource_id, grant.principal_id): grant
        for grant in grants_of_many({subject.row[0].id for subject in subjects}).filter(role_id=builtin_id(ROLE))
    }
    new = []

    def grant(place: int) -> Change:
        skill, principal = subjects[place].row
        # Nobody grants what he does not hold, so no grant adds to what its giver may give.
        said = Widening(builtin_actions(ROLE), skill.ou.path, skill.id)
        escalation.require_held(actor, [said], held, granters=granters)
        one = there.get((skill.id, principal.id))
        if one is None:
            one = there[skill.id, principal.id] = _new(commands[place], skill, principal)
            new.append(one)
        return Change(one, None, {"grant_id": str(one.id), "principal_ref": principal.ref})

    changes = each(len(commands), grant)
    Binding.objects.bulk_create(new)
    return changes


def _new(command: GrantSkill, skill: Skill, principal: Principal) -> Binding:
    return Binding(
        id=command.id,
        organization_id=skill.organization_id,
        principal=principal,
        role_id=builtin_id(ROLE),
        scope_ou=skill.ou,
        resource_id=skill.id,
        decision_type=DecisionType.ALLOW,
    )


def load_revokes(commands: Sequence[RevokeSkillGrant], actor: Actor) -> list[Found]:
    skills = skills_for_use(actor, [command.skill_id for command in commands])
    grants = grants_for_change(skills, [command.grant_id for command in commands])
    found: list[Found] = []
    for command in commands:
        skill = skills.get(command.skill_id)
        grant = grants.get((command.skill_id, command.grant_id))
        found.append(Subject(grant, skill.target()) if skill and grant else NotFound())
    return found


@handles_all(RevokeSkillGrant, load=load_revokes, changes_access=True, holdable=False)
def revoke_skill_grants(
    commands: Sequence[RevokeSkillGrant], *, subjects: Sequence[Subject], actor: Actor
) -> list[Change]:
    grants: list[Binding] = [subject.row for subject in subjects]
    now = timezone.now()

    def revoke(place: int) -> Change:
        grant = grants[place]
        grant.ended_at = now
        return Change(grant, {"grant_id": str(grant.id), "principal_ref": grant.principal.ref}, None)

    changes = each(len(grants), revoke, once=lambda place: grants[place].id)
    Binding.objects.bulk_update(grants, ["ended_at"])
    return changes
