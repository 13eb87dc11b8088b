"""Create, describe, fill, activate and archive skills."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar  # Any: a tool schema is other people's JSON
from uuid import UUID

from django.db.models import Max
from django.utils import timezone
from pydantic import Field, ValidationInfo, field_validator, model_serializer

from accounts.models import OU
from accounts.queries import ous_for
from agents import convergence, delegating, queries
from agents.actions import Action
from agents.models import AgentSkill, Skill, SkillType, SkillUpload, SkillVersion
from agents.queries.skills import (
    following,
    principals_following,
    skills_for_use,
    upload_for,
    users_of,
    versions_among,
    versions_of,
)
from agents.spec import Description, DisplayName, Name, Part
from powerloom.commands.naming import insert_named
from powerloom.commands.registry import Change, Command, Found, Need, Subject, each, handles, handles_all, subjects_in
from powerloom.kernel.errors import Conflict, Invalid, NotFound
from powerloom.kernel.refs import Actor, Target


class SkillFields(Part):
    """What one says of a new skill. `tool_schema` belongs to the type `tool_definition` and is kept as posted."""

    name: Name
    display_name: DisplayName
    description: Description | None = None
    ou_id: UUID
    skill_type: SkillType = SkillType.ARCHIVE
    tool_schema: Annotated[dict[str, Any] | None, Field(validate_default=True)] = None

    @field_validator("tool_schema")
    @classmethod
    def _fits_the_type(cls, schema: dict[str, Any] | None, info: ValidationInfo) -> dict[str, Any] | None:
        if (info.data.get("skill_type") == SkillType.TOOL_DEFINITION) != (schema is not None):
            raise ValueError("tool_schema goes with the skill_type tool_definition, and only with it")
        return schema


class CreateSkill(SkillFields, Command):
    """Name a skill in an OU. It has no content before an upload, and no current version before an activation."""

    action: ClassVar[str] = Action.SKILL_CREATE
    id: UUID


class SkillChanges(Part):
    """What is to change about a skill; what is not named stays."""

    display_name: DisplayName = ""
    description: Description | None = None

    @model_serializer
    def _only_named(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}


class UpdateSkill(Command):
    """Change how a skill is shown."""

    action: ClassVar[str] = Action.SKILL_UPDATE
    skill_id: UUID
    changes: SkillChanges


class UploadSkillVersion(Command):
    """Make a staged archive the skill's newest version; content that it has already stays the version it is.

    `sha256` is the archive's: each upload has an id of its own, and this tells the same asked again from another.
    """

    action: ClassVar[str] = Action.SKILL_UPLOAD
    skill_id: UUID
    id: UUID
    upload_id: UUID
    sha256: str = ""


class ActivateSkillVersion(Command):
    """Make a version the current one. It reaches every agent that follows the skill.

    So it needs `skill:use` of the actor and of the principal of each of those agents, and `agent:delegate` where one of
    them has Powerloom itself.
    """

    action: ClassVar[str] = Action.SKILL_ACTIVATE
    skill_id: UUID
    version_id: UUID


class ArchiveSkill(Command):
    """Take a skill out of service for good. Refused while an agent has it."""

    action: ClassVar[str] = Action.SKILL_ARCHIVE
    skill_id: UUID


def load_creates(commands: Sequence[CreateSkill], actor: Actor) -> list[Found]:
    ous = ous_for(actor, [command.ou_id for command in commands])
    return [_to_make(command, ous.get(command.ou_id)) for command in commands]


def _to_make(command: CreateSkill, ou: OU | None) -> Found:
    if ou is None:
        return NotFound()
    return Subject(ou, Target("skill", command.id, command.name, ou.organization_id, ou.path))


@handles_all(CreateSkill, load=load_creates)
def create_skills(commands: Sequence[CreateSkill], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    said = [command.model_dump(mode="json", exclude={"id", "ou_id"}) for command in commands]
    skills = [
        Skill(id=command.id, organization_id=subject.row.organization_id, ou=subject.row, **fields)
        for command, subject, fields in zip(commands, subjects, said, strict=True)
    ]
    insert_named(Skill, skills, what="a skill")
    return [
        Change(skill, None, fields | {"ou_path": skill.ou.path}) for skill, fields in zip(skills, said, strict=True)
    ]


def load_updates(commands: Sequence[UpdateSkill], actor: Actor) -> list[Found]:
    skills = skills_for_use(actor, [command.skill_id for command in commands])
    # What a skill says of itself is read by the agents that have it, and so by those that act for people.
    further = delegating.needs_through(AgentSkill.objects.filter(skill__in=skills), "skill_id")
    rows = [skills.get(command.skill_id) for command in commands]
    return [Subject(row, row.target(), needs=further.get(row.id, ())) if row else NotFound() for row in rows]


def load_skill(command: UploadSkillVersion, actor: Actor) -> Subject:
    skill = queries.skill_for_change(actor, command.skill_id)
    return Subject(skill, skill.target())


@handles_all(UpdateSkill, load=load_updates)
def update_skills(commands: Sequence[UpdateSkill], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    changes, renamed = [], []
    written, fields = {}, {"generation"}
    for command, subject in zip(commands, subjects, strict=True):
        skill: Skill = subject.row
        named = command.changes.model_dump()
        before = {name: getattr(skill, name) for name in named}
        for name, value in named.items():
            setattr(skill, name, value)
        skill.generation += 1
        written[skill.id] = skill
        fields.update(named)
        if before.get("display_name") != named.get("display_name"):
            renamed.append(skill)
        changes.append(Change(skill, before, named))
    Skill.objects.bulk_update(written.values(), sorted(fields))
    convergence.skills_changed(renamed)
    return changes


@handles(UploadSkillVersion, load=load_skill)
def upload_skill_version(command: UploadSkillVersion, *, subject: Subject, actor: Actor) -> Change:
    skill: Skill = subject.row
    if skill.skill_type == SkillType.TOOL_DEFINITION:
        raise Invalid("A tool definition has a schema and no archive.", field="file")
    upload = upload_for(actor, command.upload_id)
    version = versions_of(skill).filter(sha256=upload.sha256).first() or _version(skill, command.id, upload, actor)
    upload.delete()
    after = {"version_id": str(version.id), "number": version.number, "sha256": version.sha256}
    return Change(version, None, after | {"is_new": version.id == command.id})


def load_activates(commands: Sequence[ActivateSkillVersion], actor: Actor) -> list[Found]:
    skills = skills_for_use(actor, [command.skill_id for command in commands])
    versions = versions_among([command.version_id for command in commands])
    followers = principals_following(skills)
    further = delegating.needs_through(following(skills), "skill_id")
    found: list[Found] = []
    for command in commands:
        skill, version = skills.get(command.skill_id), versions.get(command.version_id)
        if skill is None or version is None or version.skill_id != skill.id:
            found.append(NotFound())
            continue
        target = skill.target()
        theirs = [Need(Action.SKILL_USE, target, principal_id=who) for who in followers.get(skill.id, ())]
        needs = (Need(Action.SKILL_USE, target), *theirs, *further.get(skill.id, ()))
        found.append(Subject((skill, version), target, needs=needs))
    return found


@handles_all(ActivateSkillVersion, load=load_activates)
def activate_skill_versions(
    commands: Sequence[ActivateSkillVersion], *, subjects: Sequence[Subject], actor: Actor
) -> list[Change]:
    changes, moved = [], {}
    for subject in subjects:
        skill, version = subject.row
        before = skill.current_version_id
        if before != version.id:
            skill.current_version = version
            skill.generation += 1
            moved[skill.id] = skill
        changes.append(Change(skill, {"current_version_id": _text(before)}, {"current_version_id": str(version.id)}))
    if moved:
        Skill.objects.bulk_update(moved.values(), ["current_version", "generation"])
        convergence.versions_activated(moved)
    return changes


def load_archives(commands: Sequence[ArchiveSkill], actor: Actor) -> list[Found]:
    ids = [command.skill_id for command in commands]
    return subjects_in(skills_for_use(actor, ids), ids)


@handles_all(ArchiveSkill, load=load_archives)
def archive_skills(commands: Sequence[ArchiveSkill], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    skills: list[Skill] = [subject.row for subject in subjects]
    attached = AgentSkill.objects.filter(skill__in=skills, agent__archived_at__isnull=True)
    used = set(attached.values_list("skill_id", flat=True))

    def archive(place: int) -> Change:
        skill = skills[place]
        if skill.id in used:
            seen = queries.agents_visible_to(actor).filter(pk__in=users_of(skill).values("pk"))[:5]
            names = ", ".join(agent.ref for agent in seen) or "one that you cannot see"
            raise Conflict(f"{skill.name} is attached to agents ({names}). Detach it first.")
        skill.archived_at, skill.generation = timezone.now(), skill.generation + 1
        return Change(skill, {"archived": False}, {"archived": True})

    changes = each(len(skills), archive, once=lambda place: skills[place].id)
    Skill.objects.bulk_update(skills, ["archived_at", "generation"])
    convergence.skills_changed(skills, urgent=True)
    return changes


def _version(skill: Skill, version_id: UUID, upload: SkillUpload, actor: Actor) -> SkillVersion:
    latest: int | None = versions_of(skill).aggregate(latest=Max("number"))["latest"]
    version = SkillVersion(
        id=version_id,
        skill=skill,
        number=(latest or 0) + 1,
        name=upload.name,
        description=upload.description,
        sha256=upload.sha256,
        size_bytes=upload.size_bytes,
        archive=upload.archive,
        author_ref=actor.ref,
    )
    version.save(force_insert=True)
    convergence.version_uploaded(skill, version)
    return version


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
