"""Bodies of `/v1/sessions`."""

from typing import Annotated, Literal

from pydantic import Field

from powerloom.cma.local.bodies.agent import ModelIn, Skills, System
from powerloom.cma.local.bodies.base import Body, Metadata, MetadataPatch
from powerloom.cma.local.bodies.event import MOST_EVENTS, Id, InitialEvent
from powerloom.cma.local.bodies.tools import McpServers, Tools

Title = Annotated[str, Field(max_length=512)]


class AgentRef(Body):
    """An agent, at a version or at its newest."""

    type: Literal["agent"]
    id: Id
    version: Annotated[int, Field(ge=1)] | None = None


class AgentWithOverrides(Body):
    """An agent of which this session changes something. Left out: as the agent has it; null or []: none."""

    type: Literal["agent_with_overrides"]
    id: Id
    version: Annotated[int, Field(ge=1)] | None = None
    model: ModelIn = ""
    system: System | None = None
    tools: Tools | None = None
    mcp_servers: McpServers | None = None
    skills: Skills | None = None


class Amount(Body):
    """Money in cents, as text."""

    amount: Annotated[str, Field(pattern=r"^[0-9]{1,15}$")]
    currency: Literal["USD"]


class Budget(Body):
    """A ceiling. The scripted model costs nothing, so it is kept and shown but never reached by itself."""

    type: Literal["limit"]
    max_list_cost: Amount


class FileResource(Body):
    """An uploaded file in the container."""

    type: Literal["file"]
    file_id: Id
    mount_path: Annotated[str, Field(min_length=1, max_length=1024)] | None = None


class Branch(Body):
    """A branch to check out."""

    type: Literal["branch"]
    name: Annotated[str, Field(min_length=1, max_length=255)]


class Commit(Body):
    """A commit to check out."""

    type: Literal["commit"]
    sha: Annotated[str, Field(min_length=7, max_length=64)]


class RepositoryResource(Body):
    """A repository in the container. Its token is taken and forgotten: nothing is cloned here."""

    type: Literal["github_repository"]
    url: Annotated[str, Field(min_length=1, max_length=2048)]
    authorization_token: str | None = None
    mount_path: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    checkout: Annotated[Branch | Commit, Field(discriminator="type")] | None = None


Resource = Annotated[FileResource | RepositoryResource, Field(discriminator="type")]
VaultIds = Annotated[list[Id], Field(max_length=50)]


class SessionCreate(Body):
    """POST /v1/sessions."""

    agent: Id | Annotated[AgentRef | AgentWithOverrides, Field(discriminator="type")]
    environment_id: Id
    title: Title | None = None
    metadata: Metadata = {}
    vault_ids: VaultIds = []
    resources: Annotated[list[Resource], Field(max_length=500)] = []
    initial_events: Annotated[list[InitialEvent], Field(max_length=MOST_EVENTS)] = []
    budget: Budget | None = None


class AgentPart(Body):
    """What of its agent a session may change later."""

    tools: Tools | None = None
    mcp_servers: McpServers | None = None


class SessionUpdate(Body):
    """POST /v1/sessions/{id}."""

    title: Title | None = None
    metadata: MetadataPatch | None = None
    agent: AgentPart | None = None
    budget: Budget | None = None
    vault_ids: VaultIds | None = None
