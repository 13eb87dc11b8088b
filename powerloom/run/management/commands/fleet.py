"""`manage.py fleet`: the managed MCP servers as a process of their own. Any number may run."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from powerloom.checks import refuse_to_start
from powerloom.kernel.leaving import leave, stop_signal
from powerloom.run import fleet


class Command(BaseCommand):
    help = "Serve every MCP deployment. Stops on SIGINT or SIGTERM; any number may run behind a proxy."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
        default = settings.FLEET_PORT
        parser.add_argument("--port", type=int, default=default, help=f"port to listen on ({default})")

    def handle(self, *_args: Any, **options: Any) -> None:
        refuse_to_start()
        try:
            listener = fleet.listen(options["host"], options["port"])
        except OSError as error:
            raise CommandError(f"Port {options['port']} is taken. Choose another with --port.") from error
        with listener:
            asyncio.run(_until_signaled(listener))
        leave()


async def _until_signaled(listener: Any) -> None:
    await fleet.serve(listener, stop_signal())
