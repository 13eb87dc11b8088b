"""Every action of this app."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """What can be done to what should exist. Alphabetical."""

    AGENT_ARCHIVE = "agent:archive"
    AGENT_ASSIGN_OWNER = "agent:assign_owner"  # name another owner, in that owner's home OU
    AGENT_ATTACH_MCP_SERVER = "agent:attach_mcp_server"
    AGENT_ATTACH_SKILL = "agent:attach_skill"
    AGENT_CREATE = "agent:create"
    AGENT_DELEGATE = "agent:delegate"
    AGENT_DETACH_MCP_SERVER = "agent:detach_mcp_server"
    AGENT_DETACH_SKILL = "agent:detach_skill"
    AGENT_INVOKE = "agent:invoke"
    AGENT_READ = "agent:read"
    AGENT_RESET_SYNC = "agent:reset_sync"
    AGENT_RESTORE = "agent:restore"
    AGENT_UPDATE = "agent:update"
    CREDENTIAL_CREATE = "credential:create"
    CREDENTIAL_DELETE = "credential:delete"
    CREDENTIAL_READ = "credential:read"
    CREDENTIAL_RESET_SYNC = "credential:reset_sync"
    CREDENTIAL_REVEAL = "credential:reveal"  # see a minted token once, to give it to a foreign server
    CREDENTIAL_ROTATE = "credential:rotate"
    FILE_ROOT_GRANT = "file_root:grant"  # only on the server
    FILE_ROOT_REVOKE = "file_root:revoke"  # only on the server
    MCP_DEPLOYMENT_CREATE = "mcp_deployment:create"
    MCP_DEPLOYMENT_DESTROY = "mcp_deployment:destroy"
    MCP_DEPLOYMENT_READ = "mcp_deployment:read"  # its calls included
    MCP_DEPLOYMENT_RETRY = "mcp_deployment:retry"
    MCP_DEPLOYMENT_UPDATE = "mcp_deployment:update"
    MCP_SERVER_ARCHIVE = "mcp_server:archive"
    MCP_SERVER_CREATE = "mcp_server:create"
    MCP_SERVER_PIN = "mcp_server:pin"  # approve the tools as they are now
    MCP_SERVER_PROBE = "mcp_server:probe"
    MCP_SERVER_READ = "mcp_server:read"
    MCP_SERVER_UPDATE = "mcp_server:update"
    MCP_SERVER_USE = "mcp_server:use"
    SKILL_ACTIVATE = "skill:activate"
    SKILL_ARCHIVE = "skill:archive"
    SKILL_CREATE = "skill:create"
    SKILL_GRANT = "skill:grant"
    SKILL_READ = "skill:read"
    SKILL_RESET_SYNC = "skill:reset_sync"
    SKILL_REVOKE_GRANT = "skill:revoke_grant"
    SKILL_UPDATE = "skill:update"
    SKILL_UPLOAD = "skill:upload"
    SKILL_USE = "skill:use"


# What can be done to one of a kind that is there, as its page and the API tell each who looks at it.
ON_AGENT = (
    Action.AGENT_ARCHIVE,
    Action.AGENT_ATTACH_MCP_SERVER,
    Action.AGENT_ATTACH_SKILL,
    Action.AGENT_DETACH_MCP_SERVER,
    Action.AGENT_DETACH_SKILL,
    Action.AGENT_INVOKE,
    Action.AGENT_RESET_SYNC,
    Action.AGENT_RESTORE,
    Action.AGENT_UPDATE,
)
ON_CREDENTIAL = (
    Action.CREDENTIAL_DELETE,
    Action.CREDENTIAL_RESET_SYNC,
    Action.CREDENTIAL_REVEAL,
    Action.CREDENTIAL_ROTATE,
)
ON_DEPLOYMENT = (
    Action.MCP_DEPLOYMENT_DESTROY,
    Action.MCP_DEPLOYMENT_RETRY,
    Action.MCP_DEPLOYMENT_UPDATE,
)
ON_SERVER = (
    Action.MCP_SERVER_ARCHIVE,
    Action.MCP_SERVER_PIN,
    Action.MCP_SERVER_PROBE,
    Action.MCP_SERVER_UPDATE,
    Action.MCP_SERVER_USE,
)
ON_SKILL = (
    Action.SKILL_ACTIVATE,
    Action.SKILL_ARCHIVE,
    Action.SKILL_GRANT,
    Action.SKILL_RESET_SYNC,
    Action.SKILL_REVOKE_GRANT,
    Action.SKILL_UPDATE,
    Action.SKILL_UPLOAD,
    Action.SKILL_USE,
)
