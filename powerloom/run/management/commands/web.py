"""`manage.py web`: console, API and sockets as a process of their own. Any number may run."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from powerloom.kernel.leaving import leave, leave_in_time
from powerloom.run.ports import is_free


class Command(BaseCommand):
    help = "Serve console, API and sockets. Stops on SIGINT or SIGTERM; any number may run behind a proxy."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on (8000)")

    def handle(self, *_args: Any, **options: Any) -> None:
        if not is_free(options["host"], options["port"]):
            raise CommandError(f"Port {options['port']} is taken. Choose another with --port.")
        from powerloom.run.server import web_server  # noqa: PLC0415  it installs Twisted's reactor, and no other command needs that

        web_server(host=options["host"], port=options["port"], on_stop=leave_in_time).run()
        leave()
