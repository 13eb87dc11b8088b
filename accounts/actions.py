"""Every action of this app: one word for permission, command, audit entry and CLI verb (`noun:verb`)."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """What can be done to who is who and who may do what. Alphabetical."""

    ACCESS_EXPLAIN = "access:explain"  # ask it about others; everyone may ask it about himself
    AUDIT_EXPORT = "audit:export"
    AUDIT_READ = "audit:read"
    EGRESS_RULE_CREATE = "egress_rule:create"  # let our own calls reach a private host
    EGRESS_RULE_DELETE = "egress_rule:delete"
    EGRESS_RULE_READ = "egress_rule:read"
    GROUP_ADD_MEMBER = "group:add_member"
    GROUP_ARCHIVE = "group:archive"
    GROUP_CREATE = "group:create"
    GROUP_REMOVE_MEMBER = "group:remove_member"
    GROUP_UPDATE = "group:update"
    ORGANIZATION_CREATE = "organization:create"  # only on the server
    OU_ARCHIVE = "ou:archive"
    OU_CREATE = "ou:create"
    OU_UPDATE = "ou:update"
    ROLE_ARCHIVE = "role:archive"
    ROLE_BINDING_CREATE = "role_binding:create"
    ROLE_BINDING_DELETE = "role_binding:delete"
    ROLE_BINDING_READ = "role_binding:read"
    ROLE_CREATE = "role:create"
    ROLE_UPDATE = "role:update"
    SECRET_CREATE = "secret:create"
    SECRET_DELETE = "secret:delete"
    SECRET_READ = "secret:read"
    SECRET_ROTATE = "secret:rotate"
    SECRET_USE = "secret:use"
    TOKEN_CREATE = "token:create"
    TOKEN_READ = "token:read"
    TOKEN_REVOKE = "token:revoke"
    USER_CREATE = "user:create"
    USER_DISABLE = "user:disable"
    USER_ENABLE = "user:enable"
    USER_MOVE = "user:move"  # its home OU, so its rights
    USER_SET_OPERATOR = "user:set_operator"  # only on the server
    USER_SET_PASSWORD = "user:set_password"
    USER_UPDATE = "user:update"
