"""The tables of agents, by noun."""

from agents.models.access import AccessWatch, WithheldSkill
from agents.models.agents import Agent, AgentKind, AgentVersion
from agents.models.credentials import Credential, CredentialSource
from agents.models.fleet import CallOutcome, FileRoot, FleetAddress, MCPCall
from agents.models.servers import (
    AgentMCPServer,
    DeploymentStatus,
    Discovery,
    MCPDeployment,
    MCPServer,
    MCPTool,
    ServerState,
    WithheldServer,
)
from agents.models.skills import AgentSkill, Skill, SkillType, SkillUpload, SkillVersion

__all__ = [
    "AccessWatch",
    "Agent",
    "AgentKind",
    "AgentMCPServer",
    "AgentSkill",
    "AgentVersion",
    "CallOutcome",
    "Credential",
    "CredentialSource",
    "DeploymentStatus",
    "Discovery",
    "FileRoot",
    "FleetAddress",
    "MCPCall",
    "MCPDeployment",
    "MCPServer",
    "MCPTool",
    "ServerState",
    "Skill",
    "SkillType",
    "SkillUpload",
    "SkillVersion",
    "WithheldServer",
    "WithheldSkill",
]
