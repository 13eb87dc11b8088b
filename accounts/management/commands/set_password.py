"""`manage.py set_password EMAIL`: give a user a first password on the server, printed once.

For the first OrgAdmin of an organization and for whoever lost every other way in.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from accounts import passwords
from accounts.commands.passwords import SetPassword
from accounts.models import User
from powerloom.commands.bus import submit
from powerloom.kernel.pageless import PagelessCommand
from powerloom.kernel.refs import Actor


class Command(PagelessCommand):
    help = "Set a new random password for a user and print it once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")

    def handle(self, *_args: Any, **options: Any) -> None:
        user = User.objects.filter(email__iexact=options["email"], organization__isnull=False).first()
        if user is None:
            raise CommandError(f"No organization has a user {options['email']}.")
        password = passwords.minted()
        actor = Actor.system("set_password", organization_id=user.organization_id)
        submit(SetPassword(user_id=user.id, sealed_id=passwords.sealed_hash(password, user)), actor=actor)
        self.stdout.write(f"{user.email} signs in with this password, shown only now: {password}")
