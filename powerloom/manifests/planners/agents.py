"""Agents, with the skills and servers that their documents list. A name that leaves the list is not detached."""

from __future__ import annotations

from agents.commands import AttachServer, AttachSkill, CreateAgent, UpdateAgent
from agents.models import Agent
from agents.spec import AgentChanges, AgentSpec, AttachedServer, AttachedSkill
from powerloom.commands.registry import Command
from powerloom.kernel.ids import new_id
from powerloom.manifests.documents import Document
from powerloom.manifests.planners.attachments import minted
from powerloom.manifests.scene import Scene
from powerloom.manifests.steps import Step, Verb, created, differences, named, need, shown_name

CHANGEABLE = ("display_name", "description", "model", "system_prompt", "tools", "metadata", "max_duration")


def agent(document: Document, scene: Scene) -> Step:
    row = scene.agents.get(document.address)
    step = _new(document, scene) if row is None else _there(document, scene, row)
    commands, attached = _inline(document, scene)
    if not commands:
        return step
    if step.act == Verb.CREATE:
        return Step(document, Verb.CREATE, [*step.commands, *commands], step.changes)
    return Step(document, Verb.UPDATE, [*step.commands, *commands], step.changes | attached)


def _new(document: Document, scene: Scene) -> Step:
    need(document)
    said = {name: value for name, value in named(document).items() if name in CHANGEABLE}
    command = CreateAgent.model_validate(
        {
            **said,
            "id": new_id(),
            "ou_id": scene.ou_id(document.metadata.ou_path),
            "name": document.metadata.name,
            "display_name": shown_name(document),
            "agent_kind": document.spec.agent_kind,
            "owner_principal_id": scene.principal_id(document.spec.owner_principal_ref),
        }
    )
    scene.made["Agent", document.address] = command.id
    return created(document, command)


def _there(document: Document, scene: Scene, row: Agent) -> Step:
    spec = scene.versions[row.pk].spec
    fixed = {
        "agent_kind": str(row.agent_kind),
        "runtime_type": row.runtime_type,
        "owner_principal_ref": row.owner_principal.ref,
    }
    said = {name: value for name, value in named(document).items() if name in CHANGEABLE}
    # Inside tools and metadata, too, only what is named is changed; what comes of it is what is compared.
    after = AgentChanges.model_validate(said).applied_to(AgentSpec.model_validate(spec)).as_json()
    changes = differences(document, fixed) | {
        name: (spec.get(name), after[name]) for name in said if spec.get(name) != after[name]
    }
    commands = [UpdateAgent(agent_id=row.pk, changes=AgentChanges.model_validate(said))] if changes else []
    return Step(document, Verb.UPDATE if changes else Verb.NOOP, list(commands), changes)


def _inline(document: Document, scene: Scene) -> tuple[list[Command], dict[str, tuple[None, str]]]:
    """Return what attaches the listed skills and servers that are not attached yet, and which these are; names mean
    this OU's.
    """
    agent_id = scene.thing_id("Agent", document.address)
    commands: list[Command] = []
    attached: dict[str, tuple[None, str]] = {}
    for name in document.spec.skills:
        skill_id = scene.thing_id("Skill", f"{document.metadata.ou_path}/{name}")
        if (agent_id, skill_id) not in scene.skill_attachments:
            attached[f"skills.{name}"] = (None, "attached")
            commands.append(AttachSkill(agent_id=agent_id, skill=AttachedSkill(skill_id=skill_id)))
    for name in document.spec.mcp_servers:
        server_id = scene.thing_id("MCPServerRegistration", f"{document.metadata.ou_path}/{name}")
        if (agent_id, server_id) not in scene.server_attachments:
            attached[f"mcp_servers.{name}"] = (None, "attached")
            commands.append(
                AttachServer(agent_id=agent_id, server=AttachedServer(mcp_server_registration_id=server_id))
            )
            commands += minted(scene, agent_id, server_id)
    return commands, attached
