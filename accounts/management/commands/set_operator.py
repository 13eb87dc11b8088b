"""`manage.py set_operator EMAIL [--off]`: let a user read every tenant in the admin, or end that."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from accounts.commands.operators import SetOperator
from accounts.models import User
from powerloom.commands.bus import submit
from powerloom.kernel.pageless import PagelessCommand
from powerloom.kernel.refs import Actor


class Command(PagelessCommand):
    help = "Make a user a platform operator, who may read every tenant at /admin, each read on that tenant's record."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--off", action="store_true", help="end it")

    def handle(self, *_args: Any, **options: Any) -> None:
        user = User.objects.filter(email__iexact=options["email"], organization__isnull=False).first()
        if user is None:
            raise CommandError(f"No organization has a user {options['email']}.")
        actor = Actor.system("set_operator", organization_id=user.organization_id)
        submit(SetOperator(user_id=user.id, is_operator=not options["off"]), actor=actor)
        self.stdout.write(
            f"{user.email} {'is no operator any more' if options['off'] else 'may read every tenant at /admin'}."
        )
