"""Bodies that accounts' routes take and answers they give, for parsing and for the published schema."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from ninja import Schema
from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from accounts.models import DecisionType
from accounts.names import Description, DisplayName, Email, Moment, Name, RoleName

PersonName = Annotated[str, Field(max_length=255)]


class Body(Schema):
    """A request body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Patch(Body):
    """A body that names what it changes. What is left out stays; null is taken only where a field may be empty."""

    nullable: ClassVar[frozenset[str]] = frozenset()

    @field_validator("*", mode="before")
    @classmethod
    def _means_something(cls, value: object, info: ValidationInfo) -> object:
        if value is None and info.field_name not in cls.nullable:
            raise ValueError("it cannot be null; leave it out to keep what is there")
        return value


class MeOut(Schema):
    id: UUID
    principal_id: UUID
    kind: str
    email: str | None
    name: str
    organization_id: UUID
    organization_name: str
    home_ou_id: UUID | None
    home_ou_path: str | None
    mcp_proxy_id: UUID | None


class SettingsOut(Schema):
    clone_auth_mode: str


class OUNode(Schema):
    id: UUID
    name: str
    display_name: str
    path: str
    parent_id: UUID | None
    children: list[OUNode]


class OUOut(Schema):
    id: UUID
    name: str
    display_name: str
    path: str
    parent_id: UUID | None
    principal_id: UUID
    created_at: datetime


class OUIn(Body):
    name: Name
    display_name: DisplayName
    parent_id: UUID | None = None


class OUPatch(Body):
    display_name: DisplayName


class UserOut(Schema):
    id: UUID
    principal_id: UUID
    email: str
    name: str
    home_ou_id: UUID | None
    home_ou_path: str | None
    is_active: bool
    created_at: datetime


class UserIn(Body):
    email: Email
    name: PersonName = ""
    home_ou_id: UUID


class UserPatch(Patch):
    name: PersonName | None = None
    home_ou_id: UUID | None = None
    is_active: bool | None = None


class MemberOut(Schema):
    principal_id: UUID
    kind: str
    ref: str


class GroupOut(Schema):
    id: UUID
    principal_id: UUID
    name: str
    display_name: str
    description: str | None
    ou_id: UUID
    ou_path: str
    created_at: datetime


class GroupDetailOut(GroupOut):
    members: list[MemberOut]


class GroupIn(Body):
    name: Name
    display_name: DisplayName
    description: Description | None = None
    ou_id: UUID


class GroupPatch(Patch):
    nullable = frozenset({"description"})

    display_name: DisplayName | None = None
    description: Description | None = None


class UserMemberIn(Body):
    user_id: UUID


class GroupMemberIn(Body):
    member_group_id: UUID


class RoleOut(Schema):
    id: UUID
    name: str
    description: str
    is_builtin: bool
    actions: list[str]


class RoleIn(Body):
    name: RoleName
    description: Annotated[str, Field(max_length=1024)] = ""
    actions: list[str]


class RolePatch(Patch):
    description: Annotated[str, Field(max_length=1024)] | None = None
    actions: list[str] | None = None


class BindingOut(Schema):
    id: UUID
    principal_id: UUID
    principal_ref: str
    role_id: UUID
    role: str
    scope_ou_id: UUID
    scope_ou_path: str
    decision_type: DecisionType
    resource_id: UUID | None
    expires_at: datetime | None
    created_at: datetime


class BindingIn(Body):
    principal_id: UUID
    role_id: UUID
    scope_ou_id: UUID
    decision_type: DecisionType = DecisionType.ALLOW
    expires_at: Moment | None = None
