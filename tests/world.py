"""The cast, and plain makers. Rows are made as commands would leave them, so that a test may start anywhere.

Acme       /acme/            Alice: OrgAdmin here
├── engineering              Bob: OUAdmin here; Eve: AgentViewer here
│   └── platform
└── sales                    Vera: Approver at the root, at home here
Zeta       /zeta/            Mallory: OrgAdmin of another organization
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.hashers import make_password
from django.db.models import Q
from django.http import HttpResponse
from django.test import Client

from accounts.closures import enter_tree, reached_by, refresh
from accounts.models import (
    OU,
    AccessEpoch,
    AccessToken,
    Binding,
    Group,
    Membership,
    Organization,
    OUClosure,
    Principal,
    PrincipalClosure,
    PrincipalKind,
    Role,
    RoleAction,
    User,
)
from accounts.principals import enroll
from accounts.roles import builtin_id
from accounts.tokens import actor_of_user, mint, sign_in_token
from powerloom.kernel.refs import Actor
from tests.standing import standing, standing_here, standing_rows

__all__ = ["standing_here", "standing_rows"]  # fixtures under the cast

PASSWORD = "correct horse battery staple"


def make_organization(name: str) -> Organization:
    """Make an organization with its root OU."""
    organization = Organization.objects.create(name=name, display_name=name.capitalize())
    AccessEpoch.objects.create(organization=organization)
    _make_ou(organization, None, name)
    return organization


def root_of(organization: Organization) -> OU:
    return organization.ous.get(parent__isnull=True)


def make_ou(parent: OU, name: str) -> OU:
    """Make an OU below another."""
    return _make_ou(parent.organization, parent, name)


def make_user(email: str, *, home: OU, password: str = "", is_active: bool = True) -> User:
    """Make a person at home in an OU; with a password it may sign in."""
    user = User(email=email, name=email.partition("@")[0].capitalize(), organization=home.organization, home_ou=home)
    user.is_active = is_active
    user.set_password(password or None)
    user.save()
    enroll(user.id, kind=PrincipalKind.USER, organization_id=home.organization_id, ref=user.ref)
    return user


def make_group(ou: OU, name: str, *members: User | Group) -> Group:
    """Make a group with its members."""
    group = Group.objects.create(organization=ou.organization, ou=ou, name=name, display_name=name.capitalize())
    enroll(group.id, kind=PrincipalKind.GROUP, organization_id=ou.organization_id, ref=group.ref)
    for member in members:
        Membership.objects.create(group=group, member_id=member.id)
        refresh(reached_by([member.id]))
    return group


def bind(
    principal: User | Group | OU | UUID,
    role: str,
    scope: OU,
    *,
    decision: str = "allow",
    expires_at: datetime | None = None,
    resource_id: UUID | None = None,
) -> Binding:
    """Bind a role to a principal at an OU."""
    return Binding.objects.create(
        organization=scope.organization,
        principal_id=principal if isinstance(principal, UUID) else principal.id,
        role=Role.objects.get(Q(organization=scope.organization) | Q(organization__isnull=True), name=role),
        scope_ou=scope,
        decision_type=decision,
        expires_at=expires_at,
        resource_id=resource_id,
    )


def make_role(organization: Organization, name: str, *actions: str) -> Role:
    """Make a custom role of exactly these actions."""
    role = Role.objects.create(organization=organization, name=name)
    RoleAction.objects.bulk_create([RoleAction(role=role, action=action) for action in actions])
    return role


def make_token(
    user: User, *, actions: list[str] | None = None, ou: OU | None = None, expires_at: datetime | None = None
) -> str:
    """Make a long-lived token of the user and return it."""
    assert user.organization_id, "operators have no tokens"
    token, prefix, hmac = mint()
    AccessToken.objects.create(
        organization_id=user.organization_id,
        principal_id=user.id,
        name="made for a test",
        prefix=prefix,
        hmac=hmac,
        actions=actions,
        ou=ou,
        expires_at=expires_at,
    )
    return token


def actor_of(user: User) -> Actor:
    """Return the user as an actor without a request."""
    return actor_of_user(user)


class Api:
    """The REST API as one caller uses it: JSON in, a bearer on every request, paths as clients write them."""

    def __init__(self, bearer: str = "") -> None:
        self._client = Client(raise_request_exception=False)
        self._bearer: dict[str, Any] = {"HTTP_AUTHORIZATION": f"Bearer {bearer}"} if bearer else {}

    def get(self, path: str, query: dict[str, Any] | None = None, **headers: Any) -> Any:
        return _whole(self._client.get(f"/api{path}", query, **self._bearer, **headers))

    def post(self, path: str, body: Any = None, **headers: Any) -> Any:
        return self._send("post", path, body, headers)

    def put(self, path: str, body: Any = None, **headers: Any) -> Any:
        return self._send("put", path, body, headers)

    def patch(self, path: str, body: Any = None, **headers: Any) -> Any:
        return self._send("patch", path, body, headers)

    def delete(self, path: str, body: Any = None, **headers: Any) -> Any:
        return self._send("delete", path, body, headers)

    def upload(self, path: str, **files: Any) -> Any:
        return self._client.post(f"/api{path}", files, **self._bearer)

    def _send(self, method: str, path: str, body: Any, headers: dict[str, Any]) -> Any:
        send = getattr(self._client, method)
        return send(f"/api{path}", data=body or {}, content_type="application/json", **self._bearer, **headers)


def _whole(response: Any) -> Any:
    """Return a streamed answer as a plain one, so that tests read every list alike."""
    if not response.streaming:
        return response
    whole = HttpResponse(response.getvalue(), status=response.status_code, headers=dict(response.items()))
    whole.json = lambda: json.loads(whole.content)  # type: ignore[attr-defined]  # as the test client does
    return whole


def api_of(user: User) -> Api:
    """Return the API as this person uses it, signed in."""
    return Api(sign_in_token(user))


def console_of(user: User) -> Client:
    """Return a browser-like client with this person's console session."""
    client = Client()
    client.force_login(user)
    return client


@dataclass(frozen=True)
class World:
    """Two organizations and everybody in them."""

    acme: Organization
    root: OU
    engineering: OU
    platform: OU
    sales: OU
    alice: User
    bob: User
    vera: User
    eve: User
    zeta: Organization
    mallory: User


CAST = {  # whom: home, role and where it holds
    "alice@acme.example": ("/acme/", "OrgAdmin", "/acme/"),
    "bob@acme.example": ("/acme/engineering/", "OUAdmin", "/acme/engineering/"),
    "vera@acme.example": ("/acme/sales/", "Approver", "/acme/"),
    "eve@acme.example": ("/acme/engineering/", "AgentViewer", "/acme/engineering/"),
    "mallory@zeta.example": ("/zeta/", "OrgAdmin", "/zeta/"),
}
PLACES = ("/acme/", "/acme/engineering/", "/acme/sales/", "/acme/engineering/platform/", "/zeta/")


def make_world() -> World:
    """Make the two organizations with their cast: what the makers above would leave, in one statement a table, because
    most tests begin here.
    """
    acme, zeta = (Organization(name=name, display_name=name.capitalize()) for name in ("acme", "zeta"))
    Organization.objects.bulk_create([acme, zeta])
    AccessEpoch.objects.bulk_create([AccessEpoch(organization=acme), AccessEpoch(organization=zeta)])
    ous: dict[str, OU] = {}
    for path in PLACES:
        above, _, name = path.rstrip("/").rpartition("/")
        organization = acme if path.startswith("/acme/") else zeta
        shown = name.capitalize()
        ous[path] = OU(organization=organization, parent=ous.get(f"{above}/"), name=name, display_name=shown, path=path)
    OU.objects.bulk_create(ous.values())
    OUClosure.objects.bulk_create(
        OUClosure(ancestor=above, descendant=ou) for ou in ous.values() for above in _path_of(ou, ous)
    )
    people = {email: _person(email, ous[home]) for email, (home, _, _) in CAST.items()}
    User.objects.bulk_create(people.values())
    _enroll_all(ous, people.values())
    Binding.objects.bulk_create(
        Binding(
            organization=ous[scope].organization,
            principal_id=people[email].id,
            role_id=builtin_id(role),
            scope_ou=ous[scope],
            decision_type="allow",
        )
        for email, (_, role, scope) in CAST.items()
    )
    root, engineering, sales, platform, _ = ous.values()
    alice, bob, vera, eve, mallory = people.values()
    return World(acme, root, engineering, platform, sales, alice, bob, vera, eve, zeta, mallory)


@cache
def _hashed(password: str) -> str:
    return make_password(password)


def _person(email: str, home: OU) -> User:
    name = email.partition("@")[0].capitalize()
    return User(email=email, name=name, organization=home.organization, home_ou=home, password=_hashed(PASSWORD))


def _path_of(ou: OU, ous: dict[str, OU]) -> list[OU]:
    return [other for other in ous.values() if ou.path.startswith(other.path)]


def _enroll_all(ous: dict[str, OU], people: Iterable[User]) -> None:
    principals = [
        Principal(id=ou.id, kind=PrincipalKind.OU, organization=ou.organization, ref=f"ou:{ou.path.rstrip('/')}")
        for ou in ous.values()
    ]
    speaks = [(ou.id, ou.id) for ou in ous.values()]
    for user in people:
        assert user.home_ou
        principals.append(
            Principal(id=user.id, kind=PrincipalKind.USER, organization=user.home_ou.organization, ref=user.ref)
        )
        speaks += [(user.id, user.id), *((user.id, ou.id) for ou in _path_of(user.home_ou, ous))]
    Principal.objects.bulk_create(principals)
    PrincipalClosure.objects.bulk_create(
        PrincipalClosure(member_id=member, principal_id=principal) for member, principal in speaks
    )


@standing
def world() -> World:
    """The cast, rolled back afterwards."""
    return make_world()


@pytest.fixture
def committed_world(committed_db: object) -> World:
    """The cast in a database of this test's own, where commits are real."""
    return make_world()


def _make_ou(organization: Organization, parent: OU | None, name: str) -> OU:
    path = f"{parent.path if parent else '/'}{name}/"
    ou = OU.objects.create(
        organization=organization, parent=parent, name=name, display_name=name.capitalize(), path=path
    )
    enter_tree(ou)
    enroll(ou.id, kind=PrincipalKind.OU, organization_id=organization.id, ref=f"ou:{path.rstrip('/')}")
    return ou
