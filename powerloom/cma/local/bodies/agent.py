"""Bodies of `/v1/agents`, and the parts of an agent that a session may override."""

from typing import Annotated, Any, Literal

from pydantic import Field

from powerloom.cma.local.bodies.base import Body, Metadata, MetadataPatch
from powerloom.cma.local.bodies.tools import McpServers, Tools
from powerloom.cma.local.catalog import DEFAULT_EFFORT, PREBUILT_SKILLS, is_model
from powerloom.cma.local.errors import invalid
from powerloom.cma.types import JSON

Name = Annotated[str, Field(min_length=1, max_length=256)]
Description = Annotated[str, Field(max_length=2048)]
System = Annotated[str, Field(max_length=100_000)]
Level = Literal["low", "medium", "high", "xhigh", "max"]


class Effort(Body):
    """How hard the model thinks."""

    type: Level


class Model(Body):
    """A model with its settings."""

    id: Annotated[str, Field(min_length=1, max_length=256)]
    effort: Level | Effort | None = None
    speed: Literal["standard", "fast"] | None = None
    inference_geo: Annotated[str, Field(min_length=1, max_length=64)] | None = None

    def wire(self) -> JSON:
        """Always an object, effort as an object."""
        effort = self.effort.type if isinstance(self.effort, Effort) else self.effort
        wire: JSON = {
            "id": self.id,
            "effort": {"type": effort or DEFAULT_EFFORT},
            "speed": self.speed or "standard",
        }
        if self.inference_geo:
            wire["inference_geo"] = self.inference_geo
        return wire


ModelIn = Annotated[str, Field(min_length=1, max_length=256)] | Model


def model_wire(given: str | Model, before: JSON | None = None) -> JSON:
    """The model's full form. An effort that is left out stays what it was. Raises 400 for a model not listed."""
    model = Model(id=given) if isinstance(given, str) else given
    if not is_model(model.id):
        raise invalid(f"model: '{model.id}' is not a model of this server")
    wire = model.wire()
    if before is not None and model.effort is None:
        wire["effort"] = before["effort"]
    return wire


class SkillRef(Body):
    """A skill by id, at a version or at `latest`."""

    type: Literal["anthropic", "custom"]
    skill_id: Annotated[str, Field(min_length=1, max_length=128)]
    version: Annotated[str, Field(min_length=1, max_length=128)] | None = None

    def wire(self) -> JSON:
        """With the version said. Raises 400 for a prebuilt skill there is none of."""
        if self.type == "anthropic" and self.skill_id not in PREBUILT_SKILLS:
            raise invalid(f"skills: there is no Anthropic skill '{self.skill_id}'")
        return {"type": self.type, "skill_id": self.skill_id, "version": self.version or "latest"}


Skills = Annotated[list[SkillRef], Field(max_length=20)]


class ServiceAccount(Body):
    """Runs carry no principal of the customer's."""

    type: Literal["service_account"]


class AwsRole(Body):
    """Runs carry an AWS role."""

    type: Literal["aws_role"]
    role_arn: Annotated[str, Field(min_length=1, max_length=2048)]


Identity = Annotated[ServiceAccount | AwsRole, Field(discriminator="type")]


class AgentCreate(Body):
    """POST /v1/agents."""

    name: Name
    model: ModelIn
    description: Description | None = None
    system: System | None = None
    tools: Tools = []
    mcp_servers: McpServers = []
    skills: Skills = []
    metadata: Metadata = {}
    multiagent: dict[str, Any] | None = None
    execution_identity: Identity | None = None


class AgentUpdate(Body):
    """POST /v1/agents/{id}: what is left out stays."""

    name: Name = ""
    model: ModelIn = ""
    description: Description | None = None
    system: System | None = None
    tools: Tools | None = None
    mcp_servers: McpServers | None = None
    skills: Skills | None = None
    metadata: MetadataPatch | None = None
    multiagent: dict[str, Any] | None = None
    execution_identity: Identity | None = None
    version: Annotated[int, Field(ge=1)] | None = None
