"""The access epoch of an organization: no gap between asking for a right and using it.

Every governed write shares the organization's row; a write that changes access holds it alone and bumps it. So a right
read inside a transaction cannot be lost before it commits, and a lost right is seen by whoever comes after. SQLite
serializes writers anyway.
"""

from __future__ import annotations

from uuid import UUID

from django.db import connection
from django.db.models import F

from accounts.models import AccessEpoch


def hold(organization_id: UUID | None, *, exclusively: bool) -> None:
    """Take the epoch's row for the rest of the transaction; bump it when held exclusively."""
    if organization_id is None:
        return
    if exclusively:
        AccessEpoch.objects.filter(pk=organization_id).update(number=F("number") + 1)
    elif connection.vendor == "postgresql":
        with connection.cursor() as cursor:  # the ORM has no FOR SHARE
            cursor.execute(
                "SELECT number FROM accounts_accessepoch WHERE organization_id = %s FOR SHARE", [organization_id]
            )


def current(organization_id: UUID) -> int:
    """Return the number that changes whenever anybody's rights in the organization may have changed."""
    return AccessEpoch.objects.values_list("number", flat=True).get(pk=organization_id)
