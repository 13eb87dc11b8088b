"""What agents are given: skills, MCP servers, credentials."""

from __future__ import annotations

from uuid import UUID

from agents.commands import AttachServer, AttachSkill, CreateCredential
from agents.minting import unsaved_bearer
from agents.spec import AttachedServer, AttachedSkill
from powerloom.commands.registry import Command
from powerloom.kernel.ids import new_id
from powerloom.manifests.documents import Document
from powerloom.manifests.scene import Scene
from powerloom.manifests.steps import Step, Verb


def agent_skill(document: Document, scene: Scene) -> Step:
    agent_id = scene.thing_id("Agent", document.metadata.agent_path)
    skill_id = scene.thing_id("Skill", document.metadata.skill_path)
    row = scene.skill_attachments.get((agent_id, skill_id))
    now, then = row.skill_version_id if row else None, document.spec.skill_version_id
    if row is not None and ("skill_version_id" not in document.named or now == then):
        return Step(document, Verb.NOOP)
    command = AttachSkill(agent_id=agent_id, skill=AttachedSkill(skill_id=skill_id, skill_version_id=then))
    changes = {"skill_version_id": (_text(now), _text(then))} if row else {}
    return Step(document, Verb.UPDATE if row else Verb.CREATE, [command], changes)


def agent_server(document: Document, scene: Scene) -> Step:
    agent_id = scene.thing_id("Agent", document.metadata.agent_path)
    server_id = scene.thing_id("MCPServerRegistration", document.metadata.mcp_registration_path)
    row = scene.server_attachments.get((agent_id, server_id))
    said = document.spec.model_dump(mode="json", include=document.named)
    now = {"permission": row.permission, "tools": row.tools, "four_eyes": row.four_eyes} if row else {}
    changes = {name: (now[name], said[name]) for name in said if name in now and now[name] != said[name]}
    if row is not None and not changes:
        return Step(document, Verb.NOOP)
    attached = AttachedServer(mcp_server_registration_id=server_id, **said)
    commands: list[Command] = [AttachServer(agent_id=agent_id, server=attached)]
    if row is None:
        commands += minted(scene, agent_id, server_id)
    return Step(document, Verb.UPDATE if row else Verb.CREATE, commands, changes)


def credential(document: Document, scene: Scene) -> Step:
    agent_id = scene.thing_id("Agent", document.metadata.agent_path)
    server_id = scene.thing_id("MCPServerRegistration", document.metadata.mcp_registration_path)
    commands = minted(scene, agent_id, server_id)
    return Step(document, Verb.CREATE if commands else Verb.NOOP, commands)


def minted(scene: Scene, agent_id: UUID, server_id: UUID) -> list[Command]:
    """Return the command that mints the agent's credential for a server, unless it has one, or will."""
    if (agent_id, server_id) in scene.credentials:
        return []
    assert scene.actor.organization_id is not None, "whoever applies belongs to an organization"
    credential_id = scene.credentials[agent_id, server_id] = new_id()
    value, bearer_hash = unsaved_bearer(scene.actor.organization_id)
    scene.sealed.append(value)
    return [
        CreateCredential(
            id=credential_id, agent_id=agent_id, server_id=server_id, sealed_id=value.id, bearer_hash=bearer_hash
        )
    ]


def _text(value: UUID | None) -> str | None:
    return str(value) if value else None
