"""OUs, groups, members and bindings."""

from __future__ import annotations

from accounts.commands.bindings import CreateBinding
from accounts.commands.groups import AddMember, CreateGroup, UpdateGroup
from accounts.commands.ous import CreateOU, UpdateOU
from powerloom.kernel.ids import new_id
from powerloom.manifests.documents import Document
from powerloom.manifests.scene import Scene
from powerloom.manifests.steps import Step, Unfit, Verb, created, differences, named, shown_name


def ou(document: Document, scene: Scene) -> Step:
    row = scene.ous.get(document.address)
    if row is not None:
        changes = differences(document, {"display_name": row.display_name})
        commands = [UpdateOU(ou_id=row.id, display_name=document.spec.display_name)] if changes else []
        return Step(document, Verb.UPDATE if changes else Verb.NOOP, list(commands), changes)
    if document.metadata.parent_ou_path is None:
        raise Unfit("A root OU is made with its organization; name a parent_ou_path.", "metadata")
    command = CreateOU(
        id=new_id(),
        parent_id=scene.ou_id(document.metadata.parent_ou_path),
        name=document.metadata.name,
        display_name=shown_name(document),
    )
    scene.made["OU", document.address] = command.id
    return created(document, command)


def group(document: Document, scene: Scene) -> Step:
    row = scene.groups.get(document.address)
    if row is not None:
        changes = differences(document, {"display_name": row.display_name, "description": row.description})
        fields = {name: new for name, (_, new) in changes.items()}
        commands = [UpdateGroup(group_id=row.id, **fields)] if changes else []
        return Step(document, Verb.UPDATE if changes else Verb.NOOP, list(commands), changes)
    command = CreateGroup(
        id=new_id(),
        ou_id=scene.ou_id(document.metadata.ou_path),
        name=document.metadata.name,
        display_name=shown_name(document),
        description=named(document).get("description"),
    )
    scene.made["Group", document.address] = command.id
    return created(document, command)


def membership(document: Document, scene: Scene) -> Step:
    group_id = scene.thing_id("Group", document.metadata.group_path)
    member_id = scene.principal_id(document.metadata.member_ref)
    if (group_id, member_id) in scene.members:
        return Step(document, Verb.NOOP)
    return created(document, AddMember(group_id=group_id, member_id=member_id))


def binding(document: Document, scene: Scene) -> Step:
    key = scene.binding_key(document.metadata)
    if key in scene.bindings:
        return Step(document, Verb.NOOP)
    principal_id, role_id, scope_id, decision = key
    command = CreateBinding.model_validate(
        {
            "id": new_id(),
            "principal_id": principal_id,
            "role_id": role_id,
            "scope_ou_id": scope_id,
            "decision_type": decision,
        }
    )
    scene.bindings[key] = command.id
    return created(document, command)
