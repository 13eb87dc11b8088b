"""Powerloom itself as an MCP server: eleven tools, each a few calls of our own REST API with the rights of whoever
started the session.

    five read what is there   list_ous list_users list_skills list_mcp_servers list_agents
    two look one thing up     describe_user describe_agent
    four make and wire        create_agent attach_skill_to_agent attach_mcp_server_to_agent create_credential

The template decides nothing about rights: the API does, at every call. `ROUTES` is what each tool may ask of it; a
tool's token opens nothing else.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal  # Any: a model with settings, and explanations, are JSON
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from agents.mcp.template import Allow, Call, Decision, Policy, Settings, Template, Tool

KIND = "powerloom_meta"
MOST = 200  # rows of one page, so that an answer fits into what a model is told
MOST_NODES = 500  # OUs of one answer

OUPath = Annotated[str, Field(min_length=2, max_length=1024, pattern=r"^/", examples=["/acme/engineering/platform"])]
Email = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=254)]
Page = Annotated[int, Field(ge=1, le=MOST, description="At most so many rows.")]
Cursor = Annotated[str, Field(max_length=2000, description="As `next_cursor` of the page before gave it.")]
ExactName = Annotated[str, Field(max_length=63, description="Only the one of exactly this name.")]


class MetaConfig(Settings):
    """Nothing to configure: which API is called is the operator's setting."""


class ListOUsArguments(Settings):
    under: OUPath | None = Field(None, description="Only this OU and those below it; null: the whole tree.")


class Paged(Settings):
    limit: Page = 50
    cursor: Cursor | None = None


class ListUsersArguments(Paged):
    home_ou_id: UUID | None = Field(None, description="Only users whose home is exactly this OU.")


class ListThingsArguments(Paged):
    ou_id: UUID | None = Field(None, description="Only those in exactly this OU, not below it; null: all you may see.")
    name: ExactName | None = None


class DescribeUserArguments(Settings):
    email: Email = Field(description="The user's e-mail address.", examples=["emma@acme.com"])


class DescribeAgentArguments(Settings):
    agent_id: UUID


class CreateAgentArguments(Settings):
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")] = Field(
        description="Unique among the OU's agents: lower case, digits and dashes.", examples=["sales-prospector"]
    )
    ou_id: UUID = Field(description="Where the agent lives; list_ous has the ids.")
    system_prompt: Annotated[str, Field(min_length=1, max_length=100_000)]
    display_name: Annotated[str, Field(min_length=1, max_length=255)] | None = Field(
        None, description="null: made from the name."
    )
    description: Annotated[str, Field(max_length=2048)] | None = None
    model: Annotated[str, Field(min_length=1, max_length=256)] = "claude-sonnet-4-6"
    owner_principal_id: UUID | None = Field(
        None, description="A user's or a group's principal id; null: the person you talk with."
    )
    agent_kind: Literal["user", "service"] = Field(
        "user", description="`user` acts with its owner's rights, `service` with bindings of its own."
    )


class AttachSkillArguments(Settings):
    agent_id: UUID
    skill_id: UUID
    skill_version_id: UUID | None = Field(None, description="Pin this version; null: follow the current one.")


class AttachServerArguments(Settings):
    agent_id: UUID
    mcp_server_registration_id: UUID = Field(description="The `id` that list_mcp_servers gives.")


class CreateCredentialArguments(AttachServerArguments):
    """A bearer is minted and goes into the agent's vault; nobody is shown it."""


class Result(BaseModel):
    """What every tool answers: the HTTP status of our API, the id of the request in the audit trail, and the action
    whose right the API asked for.
    """

    status: int
    request_id: str
    right: str


class Rows(Result):
    """`next_cursor` goes into `cursor`; null when this is all."""

    next_cursor: str | None


class OUNode(BaseModel):
    id: UUID
    name: str
    display_name: str
    path: str
    children: list[OUNode]


class OUTree(Result):
    """`is_complete` is false when there are more OUs than one answer holds: ask for a part with `under`."""

    ous: list[OUNode]
    is_complete: bool


class UserRow(BaseModel):
    """`principal_id` is what an agent's owner is named by."""

    id: UUID
    principal_id: UUID
    email: str
    name: str
    home_ou_id: UUID | None
    home_ou_path: str | None
    is_active: bool


class Users(Rows):
    users: list[UserRow]


class SkillRow(BaseModel):
    """`current_version_number` is null while no version was activated."""

    id: UUID
    name: str
    display_name: str
    description: str | None
    ou_id: UUID
    ou_path: str
    skill_type: str
    current_version_id: UUID | None
    current_version_number: int | None
    sync_status: str


class Skills(Rows):
    skills: list[SkillRow]


class ServerRow(BaseModel):
    """`mcp_deployment_id` is null for a foreign server."""

    id: UUID
    name: str
    display_name: str
    description: str | None
    ou_id: UUID
    ou_path: str
    mcp_deployment_id: UUID | None
    state: str
    tool_count: int


class Servers(Rows):
    mcp_servers: list[ServerRow]


class AgentRow(BaseModel):
    """`cma_agent_id` is null until the reconciler has pushed the agent."""

    id: UUID
    name: str
    display_name: str
    description: str | None
    model: str | dict[str, Any]
    ou_id: UUID
    ou_path: str
    agent_kind: str
    owner_principal_id: UUID
    cma_agent_id: str | None
    sync_status: str


class Agents(Rows):
    agents: list[AgentRow]


class SkillOfAgent(BaseModel):
    skill_id: str
    skill_version_id: UUID | None


class HeldCredential(BaseModel):
    """`status` is where the credential stands, `why` what keeps it from the vault, if anything."""

    id: UUID | None
    status: str
    why: str


class ServerOfAgent(BaseModel):
    """`withheld` says why the agent does not get the server; empty when it does."""

    mcp_server_registration_id: UUID
    name: str
    credential: HeldCredential
    withheld: str


class Sync(BaseModel):
    """Where the agent stands with the reconciler; `why` is empty when it is live."""

    status: str
    live: bool
    why: str
    last_error: str
    attempts: int


class AgentDetail(AgentRow):
    """`note` says what to wait for while `cma_agent_id` is null; `invoke` is the address that starts a session."""

    owner_ref: str
    system_prompt: str
    skills: list[SkillOfAgent]
    mcp_servers: list[ServerOfAgent]
    sync: Sync
    invoke: str
    note: str


class Held(BaseModel):
    """The approval request that a policy opened instead: nothing was changed."""

    approval_request_id: UUID
    status: str
    policies: list[str]
    approvers: list[str]
    expires_at: datetime | None
    message: str


class DescribedUser(Result):
    user: UserRow


class DescribedAgent(Result):
    agent: AgentDetail


class Made(Result):
    """`held` instead of the thing, with status 202, when an approval policy holds the change."""

    held: Held | None = None


class MadeAgent(Made):
    agent: AgentDetail | None = None


class AttachedSkill(Made):
    attachment: SkillOfAgent | None = None


class AttachedServer(Made):
    attachment: ServerOfAgent | None = None


class CredentialRow(BaseModel):
    """What may be known of a credential; never its value."""

    id: UUID
    agent_id: UUID
    mcp_server_registration_id: UUID
    source: str
    number: int
    usable: bool
    sync_status: str


class MadeCredential(Made):
    credential: CredentialRow | None = None


class Failure(BaseModel):
    """What a refused call answers, as an error of the tool: `said` in words, `error` as our API answered it, with its
    code, message, and in `detail` what was missing, who can grant it and the explanation.
    """

    status: int
    request_id: str
    right: str
    said: str
    error: dict[str, Any]


class PowerloomMetaTemplate(Template[MetaConfig, Policy]):
    """See the module."""

    kind = KIND
    title = "Powerloom"
    description = "Lets an agent use Powerloom itself, with the rights of whoever invoked it."
    config = MetaConfig
    policy = Policy
    tools: ClassVar[tuple[Tool, ...]] = (
        Tool("list_ous", "The tree of organizational units, nested.", ListOUsArguments, result=OUTree),
        Tool("list_users", "The users of the organization, a page at a time.", ListUsersArguments, result=Users),
        Tool("list_skills", "Skills with their current version, a page at a time.", ListThingsArguments, result=Skills),
        Tool("list_mcp_servers", "Registered MCP servers, a page at a time.", ListThingsArguments, result=Servers),
        Tool("list_agents", "Agents with their sync status, a page at a time.", ListThingsArguments, result=Agents),
        Tool("describe_user", "One user by e-mail address.", DescribeUserArguments, result=DescribedUser),
        Tool(
            "describe_agent",
            "One agent with what is attached to it, its credentials and its sync state.",
            DescribeAgentArguments,
            result=DescribedAgent,
        ),
        Tool(
            "create_agent",
            "Create an agent in an OU. Ask which OU when you were not told.",
            CreateAgentArguments,
            is_read_only=False,
            result=MadeAgent,
        ),
        Tool(
            "attach_skill_to_agent",
            "Give an agent a skill. Attaching again moves the pin.",
            AttachSkillArguments,
            is_read_only=False,
            result=AttachedSkill,
        ),
        Tool(
            "attach_mcp_server_to_agent",
            "Give an agent a registered MCP server.",
            AttachServerArguments,
            is_read_only=False,
            result=AttachedServer,
        ),
        Tool(
            "create_credential",
            "Mint the bearer by which an agent reaches an attached MCP server; one that is there already is answered.",
            CreateCredentialArguments,
            is_read_only=False,
            result=MadeCredential,
        ),
    )

    def judge(self, call: Call, config: MetaConfig, policy: Policy) -> Decision:
        return Allow()


RIGHTS: dict[str, str] = {
    "list_ous": "member of the organization",
    "list_users": "member of the organization",
    "list_skills": "skill:read",
    "list_mcp_servers": "mcp_server:read",
    "list_agents": "agent:read",
    "describe_user": "member of the organization",
    "describe_agent": "agent:read",
    "create_agent": "agent:create",
    "attach_skill_to_agent": "agent:attach_skill",
    "attach_mcp_server_to_agent": "agent:attach_mcp_server",
    "create_credential": "credential:create",
}

ROUTES: dict[str, frozenset[str]] = {
    "list_ous": frozenset({"GET /ous/tree"}),
    "list_users": frozenset({"GET /users"}),
    "list_skills": frozenset({"GET /skills"}),
    "list_mcp_servers": frozenset({"GET /mcp-servers"}),
    "list_agents": frozenset({"GET /agents"}),
    "describe_user": frozenset({"GET /users"}),
    "describe_agent": frozenset({"GET /agents/{agent_id}"}),
    "create_agent": frozenset({"POST /agents"}),
    "attach_skill_to_agent": frozenset({"POST /agents/{agent_id}/skills"}),
    "attach_mcp_server_to_agent": frozenset({"POST /agents/{agent_id}/mcp-servers"}),
    "create_credential": frozenset({"POST /credentials"}),
}
