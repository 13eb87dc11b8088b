"""The tables of accounts, by noun."""

from accounts.models.access import Binding, DecisionType, Membership, PrincipalClosure, Role, RoleAction
from accounts.models.delegations import Delegation
from accounts.models.devices import DeviceLogin
from accounts.models.principals import Group, Principal, PrincipalKind, User
from accounts.models.secrets import Sealed, Secret
from accounts.models.tokens import AccessToken
from accounts.models.tree import OU, AccessEpoch, EgressRule, Organization, OUClosure

__all__ = [
    "OU",
    "AccessEpoch",
    "AccessToken",
    "Binding",
    "DecisionType",
    "Delegation",
    "DeviceLogin",
    "EgressRule",
    "Group",
    "Membership",
    "OUClosure",
    "Organization",
    "Principal",
    "PrincipalClosure",
    "PrincipalKind",
    "Role",
    "RoleAction",
    "Sealed",
    "Secret",
    "User",
]
