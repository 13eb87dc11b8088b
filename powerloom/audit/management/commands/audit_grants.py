"""`manage.py audit_grants ROLE`: the SQL that keeps the application's PostgreSQL role from owning the trail."""

from __future__ import annotations

from typing import Any  # argparse

from django.core.management.base import CommandParser

from powerloom.audit.guards import grants
from powerloom.kernel.pageless import PagelessCommand


class Command(PagelessCommand):
    help = (
        "Print the SQL for a PostgreSQL role that serves while another one, which ran migrate, owns the tables: "
        "it may append to the audit trail and read it, and cannot switch its triggers off. Run it as the owner."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("role", help="the role in the DATABASE_URL of web, worker, beat and relay")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(grants(options["role"]))
