"""The tables of accounts, for platform operators to read."""

from accounts import models
from powerloom.web.operators import read_only

read_only(
    models.OU,
    models.AccessToken,
    models.Binding,
    models.Delegation,
    models.EgressRule,
    models.Group,
    models.Principal,
    models.Role,
    models.Sealed,
    models.Secret,
    models.User,
)
read_only(models.Organization, tenant="id")
read_only(models.AccessEpoch)
read_only(models.DeviceLogin, tenant="user.organization_id")
read_only(models.Membership, tenant="group.organization_id")
read_only(models.PrincipalClosure, tenant="principal.organization_id")
read_only(models.OUClosure, tenant="ancestor.organization_id")
read_only(models.RoleAction, tenant="role.organization_id")
