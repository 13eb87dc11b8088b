"""The kinds of manifests: what stands in `metadata` (the identity, never changed) and in `spec`.

In a spec nothing is required by the schema alone: a document changes only what it names, and what a new thing needs is
asked when it is to be made (`needed`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal  # Any: config and policy differ by template
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from accounts.names import Description, DisplayName, Name
from agents.commands.registration import Url
from agents.mcp.catalog import Kind as TemplateKind
from agents.models import AgentKind, SkillType
from agents.spec import Description as LongDescription
from agents.spec import Metadata as AgentMetadata
from agents.spec import ModelChoice, Permission, ServerTools, SystemPrompt, Tools, TurnSeconds
from approvals.commands.policies import Condition, Pattern, Quorum, Text, Ttl

VERSIONS = ("powerloom/v1", "powerloom.app/v1")

OUPath = Annotated[str, Field(pattern=r"^(/[a-z0-9][a-z0-9-]{0,62})+$", max_length=2000)]
ThingPath = Annotated[str, Field(pattern=r"^(/[a-z0-9][a-z0-9-]{0,62}){2,}$", max_length=2000)]
_THING, _PLACE = r"(/[a-z0-9][a-z0-9-]*){2,}", r"(/[a-z0-9][a-z0-9-]*)+"
PrincipalRef = Annotated[str, Field(pattern=rf"^(user:\S+@\S+|(group|agent):{_THING}|ou:{_PLACE})$", max_length=2000)]
OwnerRef = Annotated[str, Field(pattern=rf"^(user:\S+@\S+|group:{_THING})$", max_length=2000)]
RoleName = Annotated[str, Field(min_length=1, max_length=63)]


class Shape(BaseModel):
    """Base of metadata and specs: frozen, without keys that nobody knows. `immutable` names what is never changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    immutable: ClassVar[frozenset[str]] = frozenset()


class InOU(Shape):
    name: Name
    ou_path: OUPath

    @property
    def address(self) -> str:
        return f"{self.ou_path}/{self.name}"


class OUMetadata(Shape):
    name: Name
    parent_ou_path: OUPath | None = None

    @property
    def address(self) -> str:
        return f"{self.parent_ou_path or ''}/{self.name}"


class OUSpec(Shape):
    display_name: DisplayName = ""


class GroupSpec(Shape):
    display_name: DisplayName = ""
    description: Description | None = None


class MembershipMetadata(Shape):
    group_path: ThingPath
    member_ref: PrincipalRef

    @property
    def address(self) -> str:
        return f"{self.group_path} has {self.member_ref}"


class BindingMetadata(Shape):
    principal_ref: PrincipalRef
    role: RoleName
    scope_ou_path: OUPath
    decision_type: Literal["allow", "deny"] = "allow"

    @property
    def address(self) -> str:
        return f"{self.decision_type} {self.role} to {self.principal_ref} on {self.scope_ou_path}"


class SkillSpec(Shape):
    immutable = frozenset({"skill_type", "tool_schema"})

    display_name: DisplayName = ""
    description: LongDescription | None = None
    skill_type: SkillType = SkillType.ARCHIVE
    tool_schema: dict[str, Any] | None = None
    current_version_id: UUID | None = None


class GrantMetadata(Shape):
    skill_path: ThingPath
    principal_ref: PrincipalRef

    @property
    def address(self) -> str:
        return f"{self.skill_path} to {self.principal_ref}"


class RegistrationSpec(Shape):
    display_name: DisplayName = ""
    url: Url = ""
    description: LongDescription | None = None


class DeploymentSpec(Shape):
    immutable = frozenset({"template_kind", "isolation_mode"})

    display_name: DisplayName = ""
    template_kind: TemplateKind = "echo"
    isolation_mode: Literal["shared", "dedicated"] = "shared"
    config: dict[str, Any] = {}
    policy: dict[str, Any] = {}


class AgentSpecShape(Shape):
    immutable = frozenset({"runtime_type", "agent_kind", "owner_principal_ref"})

    display_name: DisplayName = ""
    description: LongDescription | None = None
    model: ModelChoice = ""
    system_prompt: SystemPrompt = ""
    owner_principal_ref: OwnerRef = ""
    runtime_type: Literal["cma"] = "cma"
    agent_kind: AgentKind = AgentKind.USER
    tools: Tools = Tools()
    metadata: AgentMetadata = {}
    max_duration: TurnSeconds | None = None
    skills: Annotated[list[Name], Field(max_length=20)] = []
    mcp_servers: Annotated[list[Name], Field(max_length=20)] = []


class AgentSkillMetadata(Shape):
    agent_path: ThingPath
    skill_path: ThingPath

    @property
    def address(self) -> str:
        return f"{self.agent_path} with {self.skill_path}"


class AgentSkillSpec(Shape):
    skill_version_id: UUID | None = None


class AgentServerMetadata(Shape):
    agent_path: ThingPath
    mcp_registration_path: ThingPath

    @property
    def address(self) -> str:
        return f"{self.agent_path} with {self.mcp_registration_path}"


class AgentServerSpec(Shape):
    permission: Permission = "always_allow"
    tools: ServerTools = {}
    four_eyes: bool = False


class PolicyMetadata(Shape):
    name: Name
    scope_ou_path: OUPath

    @property
    def address(self) -> str:
        return f"{self.scope_ou_path} guarded by {self.name}"


class PolicySpec(Shape):
    description: Text = ""
    action_pattern: Pattern = "*"
    condition: Condition = ""
    approver_role: RoleName = ""
    approver_group_path: ThingPath = ""
    quorum: Quorum = 1
    ttl_seconds: Ttl = 7 * 24 * 3600
    justification_required: bool = False
    is_on: bool = True


class Nothing(Shape):
    """The identity says it all."""


@dataclass(frozen=True)
class Kind:
    """One kind: its shapes, its place in the order of making, and which fields of the spec a new one needs."""

    name: str
    rank: int
    metadata: type[Shape]
    spec: type[Shape]
    needed: tuple[str, ...] = ()


KINDS = {
    kind.name: kind
    for kind in (
        Kind("OU", 10, OUMetadata, OUSpec),
        Kind("Group", 20, InOU, GroupSpec),
        Kind("GroupMembership", 25, MembershipMetadata, Nothing),
        Kind("RoleBinding", 28, BindingMetadata, Nothing),
        Kind("Skill", 30, InOU, SkillSpec),
        Kind("MCPServerRegistration", 31, InOU, RegistrationSpec, ("url",)),
        Kind("MCPDeployment", 35, InOU, DeploymentSpec, ("template_kind",)),
        Kind("Agent", 40, InOU, AgentSpecShape, ("model", "system_prompt", "owner_principal_ref")),
        Kind("AgentSkill", 50, AgentSkillMetadata, AgentSkillSpec),
        Kind("AgentMCPServer", 51, AgentServerMetadata, AgentServerSpec),
        Kind("Credential", 60, AgentServerMetadata, Nothing),
        Kind("SkillAccessGrant", 80, GrantMetadata, Nothing),
        Kind("ApprovalPolicy", 90, PolicyMetadata, PolicySpec, ("action_pattern",)),
    )
}


def schema(kind: Kind) -> dict[str, Any]:
    """Return the JSON Schema of a kind's documents."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.name,
        "type": "object",
        "additionalProperties": False,
        "required": ["kind", "metadata"],
        "properties": {
            "apiVersion": {"enum": list(VERSIONS), "default": VERSIONS[0]},
            "kind": {"const": kind.name},
            "metadata": kind.metadata.model_json_schema(),
            "spec": {**kind.spec.model_json_schema(), "x-powerloom-needed-when-new": list(kind.needed)},
        },
        "x-powerloom-apply-order": kind.rank,
    }
