"""What can be done to agents, skills and MCP servers, by noun. Importing this registers every handler."""

from agents.commands.agents import AgentFields, ArchiveAgent, CreateAgent, UpdateAgent
from agents.commands.attachments import AttachSkill, DetachSkill
from agents.commands.credentials import CreateCredential
from agents.commands.grants import GrantSkill, RevokeSkillGrant
from agents.commands.restore import RestoreAgent
from agents.commands.roots import GrantFileRoot, RevokeFileRoot
from agents.commands.server_attachments import AttachServer, DetachServer
from agents.commands.servers import (
    ArchiveServer,
    CreateServer,
    PinTools,
    ProbeServer,
    ServerChanges,
    ServerFields,
    UpdateServer,
)
from agents.commands.skills import (
    ActivateSkillVersion,
    ArchiveSkill,
    CreateSkill,
    SkillChanges,
    SkillFields,
    UpdateSkill,
    UploadSkillVersion,
)
from agents.commands.sync import ResetAgentSync, ResetSkillSync

__all__ = [
    "ActivateSkillVersion",
    "AgentFields",
    "ArchiveAgent",
    "ArchiveServer",
    "ArchiveSkill",
    "AttachServer",
    "AttachSkill",
    "CreateAgent",
    "CreateCredential",
    "CreateServer",
    "CreateSkill",
    "DetachServer",
    "DetachSkill",
    "GrantFileRoot",
    "GrantSkill",
    "PinTools",
    "ProbeServer",
    "ResetAgentSync",
    "ResetSkillSync",
    "RestoreAgent",
    "RevokeFileRoot",
    "RevokeSkillGrant",
    "ServerChanges",
    "ServerFields",
    "SkillChanges",
    "SkillFields",
    "UpdateAgent",
    "UpdateServer",
    "UpdateSkill",
    "UploadSkillVersion",
]
