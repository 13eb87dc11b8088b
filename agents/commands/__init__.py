"""What can be done to agents, skills and MCP servers, by noun. Importing this registers every handler."""

from agents.commands.agents import AgentFields, ArchiveAgent, CreateAgent, UpdateAgent
from agents.commands.attachments import AttachSkill, DetachSkill
from agents.commands.credentials import CreateCredential, DeleteCredential, RevealCredential, RotateCredential
from agents.commands.deployments import (
    CreateDeployment,
    DeploymentChanges,
    DeploymentFields,
    DestroyDeployment,
    RetryDeployment,
    UpdateDeployment,
)
from agents.commands.grants import GrantSkill, RevokeSkillGrant
from agents.commands.registration import CreateServer, ServerFields
from agents.commands.restore import RestoreAgent
from agents.commands.roots import GrantFileRoot, RevokeFileRoot
from agents.commands.server_attachments import AttachServer, DetachServer
from agents.commands.servers import (
    ArchiveServer,
    PinTools,
    ProbeServer,
    ServerChanges,
    TryTool,
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
from agents.commands.sync import ResetAgentSync, ResetCredentialSync, ResetSkillSync

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
    "CreateDeployment",
    "CreateServer",
    "CreateSkill",
    "DeleteCredential",
    "DeploymentChanges",
    "DeploymentFields",
    "DestroyDeployment",
    "DetachServer",
    "DetachSkill",
    "GrantFileRoot",
    "GrantSkill",
    "PinTools",
    "ProbeServer",
    "ResetAgentSync",
    "ResetCredentialSync",
    "ResetSkillSync",
    "RestoreAgent",
    "RetryDeployment",
    "RevealCredential",
    "RevokeFileRoot",
    "RevokeSkillGrant",
    "RotateCredential",
    "ServerChanges",
    "ServerFields",
    "SkillChanges",
    "SkillFields",
    "TryTool",
    "UpdateAgent",
    "UpdateDeployment",
    "UpdateServer",
    "UpdateSkill",
    "UploadSkillVersion",
]
