"""`manage.py revoke_file_root ORGANIZATION PATH`: end what `grant_file_root` began, with the next call."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from accounts.models import Organization
from agents.commands.roots import RevokeFileRoot
from agents.queries.roots import root_at
from powerloom.commands.bus import submit
from powerloom.kernel.pageless import PagelessCommand
from powerloom.kernel.refs import Actor


class Command(PagelessCommand):
    help = "End an organization's right to serve a folder of this machine."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("organization", help="its name")
        parser.add_argument("path", help="the folder as it was granted; it need not exist any more")

    def handle(self, *_args: Any, **options: Any) -> None:
        organization = Organization.objects.filter(name=options["organization"]).first()
        if organization is None:
            raise CommandError(f"There is no organization {options['organization']}.")
        # A link that led there once may lead elsewhere by now, so the path as written comes first.
        written = os.path.abspath(options["path"])  # noqa: PTH100 - Path.resolve would follow links
        path = written if root_at(organization.id, written) else os.path.realpath(written)
        if root_at(organization.id, path) is None:
            raise CommandError(f"/{organization.name} has no root {options['path']}.")
        actor = Actor.system("revoke_file_root", organization_id=organization.id)
        submit(RevokeFileRoot(organization_id=organization.id, path=path), actor=actor)
        if options["verbosity"]:
            self.stdout.write(f"/{organization.name} may not serve {path} any more.")
