"""`manage.py grant_file_root ORGANIZATION PATH`: let an organization's `files` deployments serve a folder."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from accounts.models import Organization
from agents.commands.roots import GrantFileRoot
from agents.queries.roots import root_at
from powerloom.commands.bus import submit
from powerloom.kernel.errors import PowerloomError
from powerloom.kernel.ids import new_id
from powerloom.kernel.pageless import PagelessCommand
from powerloom.kernel.refs import Actor


class Command(PagelessCommand):
    help = "Let an organization's `files` deployments serve a folder of this machine and what lies below it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("organization", help="its name")
        parser.add_argument("path", help="the folder; links on the way are followed now, and never again")
        parser.add_argument("--if-missing", action="store_true", help="succeed silently when it is granted already")

    def handle(self, *_args: Any, **options: Any) -> None:
        organization = Organization.objects.filter(name=options["organization"]).first()
        if organization is None:
            raise CommandError(f"There is no organization {options['organization']}.")
        path = _resolved(options["path"])
        if options["if_missing"] and root_at(organization.id, path):
            return
        actor = Actor.system("grant_file_root", organization_id=organization.id)
        try:
            submit(GrantFileRoot(id=new_id(), organization_id=organization.id, path=path), actor=actor)
        except PowerloomError as error:
            raise CommandError(error.message) from error
        if options["verbosity"]:
            self.stdout.write(f"/{organization.name} may serve {path} with root: {path}")


def _resolved(path: str) -> str:
    try:
        folder = Path(path).expanduser().resolve(strict=True)
    except (OSError, ValueError) as error:
        raise CommandError(f"There is no folder {path!r}.") from error
    if not folder.is_dir():
        raise CommandError(f"{folder} is not a folder.")
    return str(folder)
