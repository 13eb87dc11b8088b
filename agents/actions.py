"""Every action of this app."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """What can be done to what should exist. Alphabetical."""

    AGENT_ARCHIVE = "agent:archive"
    AGENT_ASSIGN_OWNER = "agent:assign_owner"  # name another owner, in that owner's home OU
    AGENT_ATTACH_SKILL = "agent:attach_skill"
    AGENT_CREATE = "agent:create"
    AGENT_DELEGATE = "agent:delegate"
    AGENT_DETACH_SKILL = "agent:detach_skill"
    AGENT_INVOKE = "agent:invoke"
    AGENT_READ = "agent:read"
    AGENT_RESET_SYNC = "agent:reset_sync"
    AGENT_RESTORE = "agent:restore"
    AGENT_UPDATE = "agent:update"
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
