"""Makers of what should exist: agents and skills as their commands leave them, and what the reconciler says of them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from accounts.commands.egress import CreateEgressRule
from accounts.models import OU, User
from agents import uploads
from agents.commands import (
    ActivateSkillVersion,
    AttachSkill,
    CreateAgent,
    CreateServer,
    CreateSkill,
    UploadSkillVersion,
)
from agents.kinds import SyncKind
from agents.models import Agent, Discovery, MCPServer, Skill, SkillVersion
from agents.spec import AttachedSkill
from powerloom.commands.bus import submit
from powerloom.commands.registry import Command, Done
from powerloom.kernel.ids import new_id
from powerloom.reconcile.models import SyncState
from tests.archives import GOOD, zipped
from tests.world import actor_of


def done(command: Command, by: User) -> Any:
    """Submit a command that must be applied, and return its row."""
    outcome = submit(command, actor=actor_of(by))
    assert isinstance(outcome, Done)
    return outcome.row


def make_agent(by: User, ou: OU, name: str = "code-reviewer", **fields: Any) -> Agent:
    """Declare an agent as this user; it belongs to whoever makes it."""
    said = {
        "display_name": name.capitalize(),
        "model": "claude-sonnet-4-6",
        "system_prompt": "Review code.\n",
        **fields,
    }
    agent: Agent = done(CreateAgent(id=new_id(), name=name, ou_id=ou.id, **said), by)
    return agent


def make_skill(by: User, ou: OU, name: str = "python-lint", **fields: Any) -> Skill:
    """Name a skill as this user; it has no version yet."""
    skill: Skill = done(CreateSkill(id=new_id(), name=name, display_name=name.capitalize(), ou_id=ou.id, **fields), by)
    return skill


def make_version(by: User, skill: Skill, *, extra: str = "", activate: bool = True) -> SkillVersion:
    """Upload a version as this user; `extra` makes its content another."""
    upload_id = uploads.stage(zipped({**GOOD, "extra.txt": extra.encode()}), actor=actor_of(by))
    version: SkillVersion = done(UploadSkillVersion(skill_id=skill.id, id=new_id(), upload_id=upload_id), by)
    if activate:
        done(ActivateSkillVersion(skill_id=skill.id, version_id=version.id), by)
    return version


def attach(by: User, agent: Agent, skill: Skill, version: SkillVersion | None = None) -> None:
    """Attach a skill as this user."""
    reference = AttachedSkill(skill_id=skill.id, skill_version_id=version.id if version else None)
    done(AttachSkill(agent_id=agent.id, skill=reference), by)


def register_server(
    by: User, ou: OU, name: str = "tools", url: str = "http://127.0.0.1:1/mcp", *, tools: Sequence[str] = ()
) -> MCPServer:
    """Register a foreign MCP server as this user; with tools as a handshake that found these would leave it."""
    found = None
    if tools:
        listed = [{"name": tool, "description": f"{tool}.", "input_schema": {"type": "object"}} for tool in tools]
        found = Discovery.objects.create(organization=ou.organization, url=url, protocol_version="", tools=listed).id
    said = {"name": name, "display_name": name.capitalize(), "url": url, "discovery_id": found}
    server: MCPServer = done(CreateServer(id=new_id(), ou_id=ou.id, **said), by)
    return server


def make_rule(by: User, pattern: str) -> str:
    """Make an egress rule as this user and return its id."""
    return str(done(CreateEgressRule(id=new_id(), pattern=pattern), by).id)


def make_live(*ids: UUID, kinds: set[SyncKind] | None = None) -> None:
    """Say what the reconciler says once these objects, or all of these kinds, are on the runtime as wanted."""
    for state in SyncState.objects.filter(Q(object_id__in=ids) | Q(kind__in=kinds or set())):
        SyncState.objects.filter(pk=state.pk).update(
            desired_hash="a" * 64,
            actual_hash="a" * 64,
            remote_id=f"{state.kind}_{state.object_id.hex[:12]}",
            remote_version="1",
            synced_at=timezone.now(),
        )


def is_stale(kind: SyncKind, id_: UUID) -> bool:
    """Tell whether the reconciler is asked to look at the object again."""
    return SyncState.objects.get(kind=kind, object_id=id_).desired_hash == ""
