"""Reads of skills. Whatever a function here returns, its actor may see; what he may not see is absent.

A version's archive may be 50 MiB, so no list loads it.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts import rbac
from accounts.models import Binding, DecisionType
from agents.actions import Action
from agents.models import Agent, AgentKind, AgentSkill, Skill, SkillUpload, SkillVersion
from powerloom.kernel.errors import NotFound
from powerloom.kernel.refs import Actor


def skills_visible_to(actor: Actor) -> QuerySet[Skill]:
    """Return the live skills that the actor may read, by binding or by a grant of that one skill, with their OU."""
    return (
        Skill.objects.filter(Q(organization_id=actor.organization_id), archived_at__isnull=True)
        .filter(rbac.permitted(actor, Action.SKILL_READ, resource_field="pk"))
        .select_related("ou")
    )


def skill_for_read(actor: Actor, skill_id: UUID) -> Skill:
    """Return a live skill that the actor may read. Raises `NotFound`."""
    return _one(skills_visible_to(actor), skill_id)


def skill_for_change(actor: Actor, skill_id: UUID) -> Skill:
    """As `skill_for_read`, locked until the end of the transaction."""
    return _one(skills_visible_to(actor).select_for_update(of=("self",)), skill_id)


def versions_of(skill: Skill) -> QuerySet[SkillVersion]:
    """Return every version of a skill that the caller already holds, without the archives."""
    return SkillVersion.objects.filter(skill=skill).defer("archive")


def current_numbers(skills: Iterable[Skill]) -> dict[UUID, int]:
    """Return the number of each skill's current version, by the skill's id; one query."""
    current = [skill.current_version_id for skill in skills if skill.current_version_id]
    return dict(SkillVersion.objects.filter(pk__in=current).values_list("skill_id", "number"))


def version_of(skill: Skill, version_id: UUID) -> SkillVersion:
    """Return one version of the skill. Raises `NotFound`."""
    version = versions_of(skill).filter(pk=version_id).first()
    if version is None:
        raise NotFound
    return version


def skills_of_versions(ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """Return of which skill each of these versions is; one that is not there is absent. One query, if any is asked."""
    asked = set(ids)
    return dict(SkillVersion.objects.filter(pk__in=asked).values_list("pk", "skill_id")) if asked else {}


def version_numbered(skill: Skill, number: int) -> SkillVersion | None:
    """Return the version of this number, None where there is none."""
    return versions_of(skill).filter(number=number).first()


def content_of(version: SkillVersion) -> bytes:
    """Return the archive of a version; it may be large, so it is read only for who looks into it."""
    found = SkillVersion.objects.values_list("archive", flat=True).get(pk=version.pk)
    return bytes(found)


def trackers_of(skill: Skill) -> QuerySet[Agent]:
    """Return the live agents whose attachment follows the skill's current version."""
    return Agent.objects.filter(pk__in=following([skill.id]).values("agent_id"))


def following(skill_ids: Iterable[UUID]) -> QuerySet[AgentSkill]:
    """Return the attachments of these skills, to live agents, that follow their current versions."""
    rows = AgentSkill.objects.filter(skill__in=list(skill_ids), skill_version__isnull=True)
    return rows.filter(agent__archived_at__isnull=True)


def versions_among(ids: Iterable[UUID]) -> dict[UUID, SkillVersion]:
    """Return those of the versions that are there, by id, without the archives."""
    return SkillVersion.objects.defer("archive").in_bulk(set(ids))


def users_of(skill: Skill) -> QuerySet[Agent]:
    """Return the live agents that have the skill attached, pinned or not."""
    return Agent.objects.filter(
        archived_at__isnull=True, pk__in=AgentSkill.objects.filter(skill=skill).values("agent_id")
    )


def principals_following(skill_ids: Iterable[UUID]) -> dict[UUID, set[UUID]]:
    """Return whose rights lend the skills' current versions to agents, owners and service agents themselves, by skill;
    one query.
    """
    found: dict[UUID, set[UUID]] = {}
    agents = following(skill_ids).values_list("skill_id", "agent__agent_kind", "agent__owner_principal_id", "agent_id")
    for skill, kind, owner, agent in agents:
        if skill:
            found.setdefault(skill, set()).add(owner if kind == AgentKind.USER else agent)
    return found


def upload_for(actor: Actor, upload_id: UUID) -> SkillUpload:
    """Return a staged archive of the actor's organization. Raises `NotFound`."""
    found = SkillUpload.objects.filter(Q(organization_id=actor.organization_id), pk=upload_id).first()
    if found is None:
        raise NotFound
    return found


def may_upload(actor: Actor, skill_id: UUID) -> bool:
    """Tell whether it is worth unpacking an archive for this actor. The bus decides; this only spares the work."""
    skill = skills_visible_to(actor).filter(pk=skill_id).first()
    return skill is not None and rbac.may(actor, Action.SKILL_UPLOAD, skill.ou.path, skill.id).allowed


def version_like(actor: Actor, skill_id: UUID, upload_id: UUID) -> SkillVersion:
    """Return the version of the skill that has the staged archive's content. Raises `NotFound`."""
    upload = upload_for(actor, upload_id)
    version = versions_of(skill_for_read(actor, skill_id)).filter(sha256=upload.sha256).first()
    if version is None:
        raise NotFound
    return version


def grants_of(skill: Skill) -> QuerySet[Binding]:
    """Return the live grants of this one skill."""
    return grants_of_many([skill.id])


def grants_of_many(ids: Iterable[UUID]) -> QuerySet[Binding]:
    """Return the live grants of these skills."""
    rows = Binding.objects.filter(resource_id__in=list(ids), ended_at__isnull=True, decision_type=DecisionType.ALLOW)
    return rows.select_related("principal", "role", "scope_ou")


def grants_for_change(skill_ids: Iterable[UUID], ids: Iterable[UUID]) -> dict[tuple[UUID, UUID], Binding]:
    """Return those of these live grants that are of one of the skills, by skill and id, locked in the order of their
    ids.
    """
    rows = grants_of_many(skill_ids).filter(pk__in=list(ids)).order_by("pk").select_for_update(of=("self",))
    return {(grant.resource_id, grant.id): grant for grant in rows if grant.resource_id}


def grant_to(skill: Skill, principal_id: UUID) -> Binding:
    """Return the live grant of this skill to the principal. Raises `NotFound`."""
    found = grants_of(skill).filter(principal_id=principal_id).first()
    if found is None:
        raise NotFound
    return found


def skills_for_use(actor: Actor, ids: Iterable[UUID]) -> dict[UUID, Skill]:
    """Return those of the skills that the actor may read, by id, locked in the order of their ids."""
    rows = skills_visible_to(actor).filter(pk__in=list(ids)).order_by("pk").select_for_update(of=("self",))
    return {skill.id: skill for skill in rows}


def _one(rows: QuerySet[Skill], skill_id: UUID) -> Skill:
    found = rows.filter(pk=skill_id).first()
    if found is None:
        raise NotFound
    return found
