"""Approval policies. A name is one policy of the organization; its scope never moves."""

from __future__ import annotations

from typing import Any  # fields of commands

from approvals.commands import CreatePolicy, PolicyChanges, UpdatePolicy
from powerloom.kernel.ids import new_id
from powerloom.manifests.documents import Document
from powerloom.manifests.scene import Scene
from powerloom.manifests.steps import Step, Unfit, Verb, created, differences, named, need


def policy(document: Document, scene: Scene) -> Step:
    name = document.metadata.name
    row = scene.policies.get(name)
    said = named(document)
    fields = {name: value for name, value in said.items() if not name.startswith("approver_")}
    if row is None:
        need(document)
        if not (document.spec.approver_role or document.spec.approver_group_path):
            raise Unfit("A new ApprovalPolicy needs approver_role or approver_group_path.", "spec")
        scope_ou_id = scene.ou_id(document.metadata.scope_ou_path)
        command = CreatePolicy.model_validate(
            {
                "id": new_id(),
                "name": name,
                "scope_ou_id": scope_ou_id,
                **fields,
                **_approver(document, scene),
            }
        )
        scene.made["ApprovalPolicy", name] = command.id
        return created(document, command)
    if row.scope_path.rstrip("/") != document.metadata.scope_ou_path:
        raise Unfit(f"The policy {row.name} guards {row.scope_path.rstrip('/')} for good.", "metadata", "scope_ou_path")
    now = {name: getattr(row, name) for name in fields} | {
        "approver_role": row.approver_role.name if row.approver_role else "",
        "approver_group_path": row.approver_group.ref.partition(":")[2] if row.approver_group else "",
    }
    changes = differences(document, now)
    changed = {name: new for name, (_, new) in changes.items() if name in fields}
    if changes.keys() - fields.keys():
        changed |= _approver(document, scene)
    commands = [UpdatePolicy(policy_id=row.id, changes=PolicyChanges(**changed))] if changes else []
    return Step(document, Verb.UPDATE if changes else Verb.NOOP, list(commands), changes)


def _approver(document: Document, scene: Scene) -> dict[str, Any]:
    spec = document.spec
    if spec.approver_role and spec.approver_group_path:
        raise Unfit("Name either approver_role or approver_group_path.", "spec", "approver_role")
    if spec.approver_role:
        return {"approver_role_id": scene.role(spec.approver_role).id}
    return {"approver_group_id": scene.thing_id("Group", spec.approver_group_path)} if spec.approver_group_path else {}
