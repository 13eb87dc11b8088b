"""Principals: what a binding can name. A `Principal` row has the same id as the user, group, agent or OU itself."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import Q

from accounts.models.tree import OU, Organization
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Target


class PrincipalKind(models.TextChoices):
    USER = "user"
    GROUP = "group"
    AGENT = "agent"
    OU = "ou"


class Principal(models.Model):
    """The id that bindings, memberships and closures name; `ref` is how people write it (`user:a@b`,
    `group:/acme/eng/leads`). `acts_as` is whose rights it uses where these are not its own: the owner of an agent of
    kind `user`.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="principals")
    kind = models.CharField(max_length=10, choices=PrincipalKind)
    ref = models.CharField(max_length=700)
    acts_as = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    class Meta:
        indexes = [models.Index(fields=["organization", "kind"], name="principal_by_kind")]

    def __str__(self) -> str:
        return self.ref


class UserManager(BaseUserManager["User"]):
    """What Django's authentication needs to find a user."""

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email__iexact=username)


class User(AbstractBaseUser):
    """A person. Belongs to one organization; a platform operator (`is_staff`, set only on the server) may belong to
    none.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, null=True, blank=True, related_name="users"
    )
    home_ou = models.ForeignKey(OU, on_delete=models.PROTECT, null=True, blank=True, related_name="residents")
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=255, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()

    def __str__(self) -> str:
        return self.email

    # Django's admin asks these; a platform operator may open every page of it, and the pages are read-only.
    def has_perm(self, perm: str, obj: models.Model | None = None) -> bool:
        return self.is_active and self.is_staff

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_active and self.is_staff

    @property
    def ref(self) -> str:
        return f"user:{self.email}"

    def target(self) -> Target:
        path = self.home_ou.path if self.home_ou else ""
        return Target("user", self.id, self.email, self.organization_id, path)


class Group(models.Model):
    """Users and other groups that share bindings."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="groups")
    ou = models.ForeignKey(OU, on_delete=models.PROTECT, related_name="groups")
    name = models.CharField(max_length=63)
    display_name = models.CharField(max_length=255)
    description = models.TextField(null=True, blank=True)  # noqa: DJ001  the wire tells null from ""
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["ou", "name"], condition=Q(archived_at__isnull=True), name="one_live_group_per_name"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def ref(self) -> str:
        return f"group:{self.ou.path}{self.name}"

    def target(self) -> Target:
        return Target("group", self.id, self.name, self.organization_id, self.ou.path)
