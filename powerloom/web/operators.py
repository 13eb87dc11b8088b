"""The platform operators' admin: every table readable and searchable, none writable, and reading a tenant is on that
tenant's record.

Governed rows change through the bus alone, so no model here has an add, change or delete permission.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn  # Any: rows of every model
from uuid import UUID

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import urlencode

from powerloom.audit import log as audit
from powerloom.kernel.refs import Actor, Target
from powerloom.web.requests import address, request_id

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]  # generic for the type checker alone
else:
    Base = admin.ModelAdmin

NEVER_SHOWN = frozenset(
    {
        "password",
        "hmac",
        "device_hmac",
        "user_hmac",
        "bearer_hash",
        "password_mark",
        "wrapped_key",
        "nonce",
        "ciphertext",
        "archive",
    }
)
LONG = (models.TextField, models.JSONField, models.BinaryField)
TEXTS = (models.CharField, models.TextField, models.UUIDField)
COLUMNS = 8


class OperatorSite(admin.AdminSite):
    """The admin site: sign-in is the console's, and a password is changed elsewhere."""

    site_header = "Powerloom platform"
    site_title = "Powerloom platform"
    index_title = "Every table, to read"
    enable_nav_sidebar = False

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.user.is_authenticated:
            raise Http404
        return redirect(f"{settings.LOGIN_URL}?{urlencode({'next': request.get_full_path()})}")

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> NoReturn:
        raise Http404


class ReadOnlyAdmin(Base):
    """One table, to read. `tenant` is the path from a row to its organization's id ("" for tables of no tenant)."""

    tenant: ClassVar[str] = "organization_id"
    list_per_page = 50
    show_full_result_count = False
    actions = None

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [field.name for field in self._shown()]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [field.name for field in self._shown() if not isinstance(field, LONG)][:COLUMNS]

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        return [field.name for field in self._shown() if isinstance(field, TEXTS)]

    def _shown(self) -> list[models.Field[Any, Any]]:
        return [field for field in self.model._meta.concrete_fields if field.name not in NEVER_SHOWN]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_active and request.user.is_staff

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        _only_read(request)
        response = super().changelist_view(request, extra_context)
        listed = getattr(response, "context_data", None) or {}
        if "cl" in listed:
            self._record(request, listed["cl"].result_list)
        return response

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        _only_read(request)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        raise PermissionDenied

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            self._record(request, [found])
        return found

    def _record(self, request: HttpRequest, rows: Iterable[Any]) -> None:
        """Write one entry to each tenant whose rows are shown."""
        rows = list(rows)
        what = self.model._meta.model_name or ""
        for tenant in {tenant for row in rows if (tenant := self._tenant_of(row))}:
            name = str(rows[0].pk) if len(rows) == 1 else ""
            about = Target(what, tenant, name, tenant, "")
            audit.record(audit.Record("operator:read", "", about), actor=_operator(request))

    def _tenant_of(self, row: Any) -> UUID | None:
        if not self.tenant:
            return None
        for step in self.tenant.split("."):
            row = getattr(row, step) if row is not None else None
        found: UUID | None = row
        return found


def _only_read(request: HttpRequest) -> None:
    """Refuse before Django's admin opens the transaction it would write in."""
    if request.method not in {"GET", "HEAD"}:
        raise PermissionDenied


def _operator(request: HttpRequest) -> Actor:
    """Return the operator as an actor of no organization, so that the entry lands in the chain of the one he reads."""
    user: Any = request.user  # accounts.User, which this layer does not know
    return Actor(
        kind="user",
        id=user.id,
        principal_id=None,
        organization_id=None,
        ref=f"operator:{user.email}",
        request_id=request_id(request),
        address=address(request),
    )


def read_only(*rows: type[models.Model], tenant: str = "organization_id", site: admin.AdminSite = admin.site) -> None:
    """Register tables to read, all with the same way to their tenant."""
    kind = type("ReadOnly", (ReadOnlyAdmin,), {"tenant": tenant})
    site.register(rows, kind)
