"""The way out of the house that an organization has opened for itself."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings

from accounts.models import EgressRule
from powerloom.web.egress import Way


def way_of(organization_id: UUID) -> Way:
    """Return where the organization's outbound calls may go; one query. Loopback only in development mode."""
    rules = EgressRule.objects.filter(organization_id=organization_id, archived_at__isnull=True)
    return Way(tuple(rules.order_by("pattern").values_list("pattern", flat=True)), loopback=settings.DEV_MODE)
