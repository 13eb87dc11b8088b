"""`manage.py create_organization NAME --admin-email EMAIL`: found an organization with its first OrgAdmin."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from pydantic import ValidationError

from accounts.commands.organizations import CreateOrganization
from accounts.models import Organization
from powerloom.commands.bus import submit
from powerloom.kernel.errors import PowerloomError
from powerloom.kernel.ids import new_id
from powerloom.kernel.pageless import PagelessCommand
from powerloom.kernel.refs import Actor


class Command(PagelessCommand):
    help = "Found an organization: its root OU, and its first OrgAdmin, who then needs a password."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="lower-case letters, digits and hyphens; the first segment of every path")
        parser.add_argument("--admin-email", required=True)
        parser.add_argument("--display-name", help="default: the name")
        parser.add_argument("--if-missing", action="store_true", help="succeed silently when it is there already")

    def handle(self, *_args: Any, **options: Any) -> None:
        name, email = options["name"], options["admin_email"]
        if options["if_missing"] and Organization.objects.filter(name=name).exists():
            return
        try:
            command = CreateOrganization(
                id=new_id(),
                name=name,
                display_name=options["display_name"] or name,
                root_ou_id=new_id(),
                admin_id=new_id(),
                admin_email=email.lower(),
            )
            submit(command, actor=Actor.system("create_organization"))
        except ValidationError as error:
            problems = "; ".join(f"{problem['loc'][-1]}: {problem['msg']}" for problem in error.errors())
            raise CommandError(problems) from error
        except PowerloomError as error:
            raise CommandError(error.message) from error
        if options["verbosity"]:
            self.stdout.write(f"Founded /{name} with {email} as OrgAdmin. Next: manage.py set_password {email}")
