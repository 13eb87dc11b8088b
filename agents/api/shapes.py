"""What the routes of agents and skills answer, for the API's description; tests hold the answers to it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal  # Any: values of a field diff
from uuid import UUID

from ninja import Schema

from agents.connections import Holding
from agents.models import AgentKind, CredentialSource, DeploymentStatus, ServerState, SkillType
from agents.spec import AgentSpec, ModelChoice, Permission, Prebuilt, ServerTool, Tools
from powerloom.reconcile.status import SyncStatus


class FieldDiffOut(Schema):
    """One field that differs; a side where the field was absent is left out."""

    field: str
    before: Any = None
    after: Any = None


class ExplainOut(Schema):
    """Why something stands where it stands: what was looked at in order, what decides, and what would change it."""

    facts: list[dict[str, Any]]
    decided_by: str | None
    remedy: list[dict[str, Any]]


class SyncOut(Schema):
    """Where one object stands with the reconciler. `why` says in words what keeps it from being live, if anything, and
    `explain` what was looked at, and what helps.
    """

    status: SyncStatus
    live: bool
    why: str
    waits_for: str
    condition: str
    last_error: str
    attempts: int
    next_try_at: datetime | None
    parked_at: datetime | None
    synced_at: datetime | None
    checked_at: datetime | None
    drift: Any
    runtime_resource_id: str | None
    runtime_version: str | None
    explain: ExplainOut


class AttachmentOut(Schema):
    """An attached skill: ours by id, pinned or (null) following the current version, or Anthropic's by short name."""

    skill_id: UUID | Prebuilt
    skill_version_id: UUID | None


class WithheldSkillOut(Schema):
    """An attached skill that the agent does not get now, and why."""

    skill_id: UUID
    why: str


class HeldCredentialOut(Schema):
    """What an agent has to show to a server: the credential's id, null without one. `why` is set where its vault does
    not have it.
    """

    id: UUID | None
    status: Holding
    why: str


class ServerAttachmentOut(Schema):
    """An attached MCP server. `tools` is what the attachment says of single tools, `tools_on` every tool that the agent
    may call now, with who says yes to a call. `withheld` says why the agent does not get the server, if it does not.
    """

    mcp_server_registration_id: UUID
    name: str
    server_name: str
    state: ServerState
    deployment_status: DeploymentStatus | None
    permission: Permission
    tools: dict[str, ServerTool]
    four_eyes: bool
    tools_on: dict[str, Permission]
    credential: HeldCredentialOut
    withheld: str


class AgentOut(Schema):
    """One agent. `model`, `system_prompt` and `description` are exactly what was posted."""

    id: UUID
    name: str
    display_name: str
    description: str | None
    model: ModelChoice
    system_prompt: str
    tools: Tools
    metadata: dict[str, str]
    max_duration: int | None
    runtime_type: Literal["cma"]
    agent_kind: AgentKind
    ou_id: UUID
    ou_path: str
    owner_principal_id: UUID
    version: int
    generation: int
    cma_agent_id: str | None
    sync_status: SyncStatus
    created_at: datetime
    updated_at: datetime


class AgentDetailOut(AgentOut):
    """One agent with what is attached to it, where it stands, and what the caller may do with it."""

    owner_ref: str
    skills: list[AttachmentOut]
    withheld_skills: list[WithheldSkillOut]
    mcp_servers: list[ServerAttachmentOut]
    sync: SyncOut
    can: dict[str, bool]


class VersionOut(Schema):
    """One version of an agent. `cma_version` is CMA's number for it, null until it was pushed."""

    number: int
    author_ref: str
    restored_from: int | None
    cma_version: str | None
    created_at: datetime


class VersionDetailOut(VersionOut):
    """One version with everything that the agent was to be."""

    spec: AgentSpec


class VersionDiffOut(Schema):
    """What differs between two versions."""

    before: int
    after: int
    changes: list[FieldDiffOut]


class SkillOut(Schema):
    """One skill. `current_version_id` and its number are null until a version is activated."""

    id: UUID
    name: str
    display_name: str
    display_title: str
    description: str | None
    ou_id: UUID
    ou_path: str
    skill_type: SkillType
    tool_schema: dict[str, Any] | None
    current_version_id: UUID | None
    current_version_number: int | None
    generation: int
    cma_skill_id: str | None
    sync_status: SyncStatus
    created_at: datetime


class SkillDetailOut(SkillOut):
    """One skill with where it stands, and what the caller may do with it."""

    sync: SyncOut
    can: dict[str, bool]


class SkillVersionOut(Schema):
    """One uploaded version. Name and description are SKILL.md's, `sha256` and `size_bytes` the content's."""

    id: UUID
    number: int
    name: str
    description: str
    sha256: str
    size_bytes: int
    is_current: bool
    author_ref: str
    cma_version_id: str | None
    sync_status: SyncStatus
    created_at: datetime


class GrantOut(Schema):
    """A grant of one skill."""

    id: UUID
    principal_id: UUID
    principal_ref: str
    created_at: datetime


class CredentialOut(Schema):
    """What may be known of a credential; never its value. `usable`: it has neither expired nor been voided."""

    id: UUID
    agent_id: UUID
    mcp_server_registration_id: UUID
    source: CredentialSource
    number: int
    usable: bool
    sync_status: SyncStatus
    created_at: datetime
    rotated_at: datetime | None
    expires_at: datetime | None
    voided_at: datetime | None
    revealed_at: datetime | None


class CredentialDetailOut(CredentialOut):
    """One credential with where it stands, and what the caller may do with it."""

    sync: SyncOut
    can: dict[str, bool]


class RevealedOut(CredentialDetailOut):
    """A credential with its value, the one time that it is shown; null, and `secret_already_shown`, at a repeat."""

    token: str | None
    secret_already_shown: bool = False
