"""How each kind is taken away again. What is not there, or out of sight, asks for nothing."""

from __future__ import annotations

from collections.abc import Callable

from accounts.commands.bindings import DeleteBinding
from accounts.commands.groups import ArchiveGroup, RemoveMember
from accounts.commands.ous import ArchiveOU
from agents.commands import (
    ArchiveAgent,
    ArchiveServer,
    ArchiveSkill,
    DeleteCredential,
    DestroyDeployment,
    DetachServer,
    DetachSkill,
    RevokeSkillGrant,
)
from approvals.commands import ArchivePolicy
from powerloom.commands.registry import Command
from powerloom.manifests.documents import Document
from powerloom.manifests.scene import Missing, Scene
from powerloom.manifests.steps import Step, Unfit, Verb


def removal(document: Document, scene: Scene) -> Step:
    """Return the step that takes away what a document is about."""
    try:
        commands = REMOVALS[document.kind.name](document, scene)
    except Missing:
        commands = []
    if commands:
        return Step(document, Verb.DELETE, commands)
    return Step(document, Verb.NOOP, why="It is not there, or you cannot see it.")


def ou(document: Document, scene: Scene) -> list[Command]:
    return [ArchiveOU(ou_id=scene.ou_id(document.address))]


def group(document: Document, scene: Scene) -> list[Command]:
    return [ArchiveGroup(group_id=scene.thing_id("Group", document.address))]


def membership(document: Document, scene: Scene) -> list[Command]:
    group_id = scene.thing_id("Group", document.metadata.group_path)
    member_id = scene.principal_id(document.metadata.member_ref)
    is_there = (group_id, member_id) in scene.members
    return [RemoveMember(group_id=group_id, member_id=member_id)] if is_there else []


def binding(document: Document, scene: Scene) -> list[Command]:
    found = scene.bindings.get(scene.binding_key(document.metadata))
    return [DeleteBinding(binding_id=found)] if found else []


def skill(document: Document, scene: Scene) -> list[Command]:
    return [ArchiveSkill(skill_id=scene.thing_id("Skill", document.address))]


def grant(document: Document, scene: Scene) -> list[Command]:
    skill_id = scene.thing_id("Skill", document.metadata.skill_path)
    found = scene.grants.get((skill_id, scene.principal_id(document.metadata.principal_ref)))
    return [RevokeSkillGrant(skill_id=skill_id, grant_id=found)] if found else []


def registration(document: Document, scene: Scene) -> list[Command]:
    row = scene.servers.get(document.address)
    if row is not None and row.is_managed:
        raise Unfit("This is the registration of a managed deployment; it goes with that.", "metadata", "name")
    return [ArchiveServer(server_id=row.id)] if row else []


def deployment(document: Document, scene: Scene) -> list[Command]:
    row = scene.deployments.get(document.address)
    if row is None:
        return []
    return [DestroyDeployment(deployment_id=row.id), ArchiveServer(server_id=row.registration.id)]


def agent(document: Document, scene: Scene) -> list[Command]:
    return [ArchiveAgent(agent_id=scene.thing_id("Agent", document.address))]


def agent_skill(document: Document, scene: Scene) -> list[Command]:
    agent_id = scene.thing_id("Agent", document.metadata.agent_path)
    skill_id = scene.thing_id("Skill", document.metadata.skill_path)
    is_there = (agent_id, skill_id) in scene.skill_attachments
    return [DetachSkill(agent_id=agent_id, skill=skill_id)] if is_there else []


def agent_server(document: Document, scene: Scene) -> list[Command]:
    agent_id = scene.thing_id("Agent", document.metadata.agent_path)
    server_id = scene.thing_id("MCPServerRegistration", document.metadata.mcp_registration_path)
    is_there = (agent_id, server_id) in scene.server_attachments
    return [DetachServer(agent_id=agent_id, server_id=server_id)] if is_there else []


def credential(document: Document, scene: Scene) -> list[Command]:
    agent_id = scene.thing_id("Agent", document.metadata.agent_path)
    server_id = scene.thing_id("MCPServerRegistration", document.metadata.mcp_registration_path)
    found = scene.credentials.get((agent_id, server_id))
    return [DeleteCredential(credential_id=found)] if found else []


def policy(document: Document, scene: Scene) -> list[Command]:
    row = scene.policies.get(document.metadata.name)
    is_it = row is not None and row.scope_path.rstrip("/") == document.metadata.scope_ou_path
    return [ArchivePolicy(policy_id=row.id)] if row is not None and is_it else []


REMOVALS: dict[str, Callable[[Document, Scene], list[Command]]] = {
    "OU": ou,
    "Group": group,
    "GroupMembership": membership,
    "RoleBinding": binding,
    "Skill": skill,
    "SkillAccessGrant": grant,
    "MCPServerRegistration": registration,
    "MCPDeployment": deployment,
    "Agent": agent,
    "AgentSkill": agent_skill,
    "AgentMCPServer": agent_server,
    "Credential": credential,
    "ApprovalPolicy": policy,
}
