"""Skills and the grants of single ones."""

from __future__ import annotations

from agents.commands import ActivateSkillVersion, CreateSkill, GrantSkill, SkillChanges, UpdateSkill
from powerloom.commands.registry import Command
from powerloom.kernel.ids import new_id
from powerloom.manifests.documents import Document
from powerloom.manifests.scene import Scene
from powerloom.manifests.steps import Step, Unfit, Verb, created, differences, named, shown_name


def skill(document: Document, scene: Scene) -> Step:
    row = scene.skills.get(document.address)
    if row is None:
        return _new(document, scene)
    now = {
        "display_name": row.display_name,
        "description": row.description,
        "skill_type": str(row.skill_type),
        "tool_schema": row.tool_schema,
        "current_version_id": str(row.current_version_id) if row.current_version_id else None,
    }
    changes = differences(document, now)
    shown = {name: new for name, (_, new) in changes.items() if name in SkillChanges.model_fields}
    commands: list[Command] = []
    if shown:
        commands.append(UpdateSkill(skill_id=row.id, changes=SkillChanges(**shown)))
    if changes.get("current_version_id", (None, None))[1]:
        commands.append(ActivateSkillVersion(skill_id=row.id, version_id=document.spec.current_version_id))
    return Step(document, Verb.UPDATE if changes else Verb.NOOP, commands, changes)


def grant(document: Document, scene: Scene) -> Step:
    skill_id = scene.thing_id("Skill", document.metadata.skill_path)
    principal_id = scene.principal_id(document.metadata.principal_ref)
    if (skill_id, principal_id) in scene.grants:
        return Step(document, Verb.NOOP)
    grant_id = scene.grants[skill_id, principal_id] = new_id()
    return created(document, GrantSkill(id=grant_id, skill_id=skill_id, principal_id=principal_id))


def _new(document: Document, scene: Scene) -> Step:
    said = named(document)
    if said.get("current_version_id"):
        raise Unfit("A new skill has no version to activate yet.", "spec", "current_version_id")
    command = CreateSkill(
        id=new_id(),
        ou_id=scene.ou_id(document.metadata.ou_path),
        name=document.metadata.name,
        display_name=shown_name(document),
        description=said.get("description"),
        skill_type=document.spec.skill_type,
        tool_schema=said.get("tool_schema"),
    )
    scene.made["Skill", document.address] = command.id
    return created(document, command)
