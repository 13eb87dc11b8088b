"""The base of management commands whose processes answer at no address."""

from __future__ import annotations

from django.core.checks import Tags
from django.core.management.base import BaseCommand


class PagelessCommand(BaseCommand):
    """Runs the system checks but for those of addresses and of the admin: they load every page, which takes longer
    than most commands.
    """

    requires_system_checks = (
        "powerloom",
        Tags.models,
        Tags.security,
        Tags.signals,
        Tags.async_support,
        Tags.caches,
        Tags.files,
        Tags.templates,
        Tags.translation,
    )
