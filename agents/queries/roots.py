"""Reads of the folders that organizations may serve."""

from __future__ import annotations

from pathlib import PurePosixPath
from uuid import UUID

from agents.models import FileRoot


def is_granted(organization_id: UUID, path: str) -> bool:
    """Return whether this folder, or one above it, is granted to the organization now."""
    folder = PurePosixPath(path)
    paths = [str(above) for above in (folder, *folder.parents)]
    return FileRoot.objects.filter(organization_id=organization_id, path__in=paths, archived_at__isnull=True).exists()


def root_at(organization_id: UUID, path: str) -> FileRoot | None:
    """Return the organization's live root at exactly this path."""
    return FileRoot.objects.filter(organization_id=organization_id, path=path, archived_at__isnull=True).first()
