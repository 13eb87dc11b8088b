"""Archives on their way in: checked before a command names them, kept aside until one does.

bytes → stage (check, keep) → the command carries the row's id → the handler moves the bytes into a version
"""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.db.models import Q

from agents import staging
from agents.archives import read_package
from agents.models import SkillUpload
from powerloom.kernel.errors import TooLarge
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor


def stage(data: bytes, *, actor: Actor) -> UUID:
    """Check an archive and keep it aside; return the id that a command may name.

    Raises `TooLarge` over the limit and `Invalid` saying what is wrong with it.
    """
    assert actor.organization_id is not None, "who may upload belongs to an organization"
    check_size(len(data))
    package = read_package(data)
    staging.sweep(SkillUpload)
    upload = SkillUpload(
        id=new_id(),
        organization_id=actor.organization_id,
        name=package.name,
        description=package.description,
        sha256=package.sha256,
        size_bytes=package.size_bytes,
        archive=package.archive,
    )
    upload.save(force_insert=True)
    return upload.id


def sha256_of(upload_id: UUID) -> str:
    """Return the hash of a staged archive's contents, "" for one that is not there."""
    return SkillUpload.objects.filter(pk=upload_id).values_list("sha256", flat=True).first() or ""


def check_size(size: int | None) -> None:
    """Raise `TooLarge` when an upload of this size is over the limit."""
    limit = settings.MAX_SKILL_UPLOAD
    if size is not None and size > limit:
        raise TooLarge(f"A skill archive has at most {limit} bytes.", field="file", limit=limit)


def discard(upload_id: UUID, *, actor: Actor) -> None:
    """Forget a staged archive that no command will name any more."""
    SkillUpload.objects.filter(Q(organization_id=actor.organization_id), pk=upload_id).delete()
