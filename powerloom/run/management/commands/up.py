"""`manage.py up`: everything in one process, then the main job, narrated, then it serves.

Data folder, local runtime, database, web, worker, beat, relay and fleet; then the story (`powerloom.run.story`) walks
the main job as any client would: over HTTP and a WebSocket.
"""

from __future__ import annotations

import os
import socket
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.markup import escape

from agents import deploying
from agents.fleet import moves
from powerloom.kernel.leaving import leave
from powerloom.reconcile import claims
from powerloom.run import devorg, fleet, home
from powerloom.run.ports import is_free
from powerloom.run.runtime import LocalRuntime
from powerloom.run.story import Story, StoryFailed
from powerloom.web.text import visible

HOST = "127.0.0.1"


class Command(BaseCommand):
    help = "Run all of Powerloom in one process on this machine and walk through the main job."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=os.environ.get("PORT") or 8000, help="default $PORT or 8000")
        once = os.environ.get("ONCE", "") not in {"", "0"}
        parser.add_argument("--once", action="store_true", default=once, help="stop after the main job (or $ONCE=1)")
        parser.add_argument("--no-story", action="store_true", help="only serve")
        parser.add_argument("--patience", type=float, default=90, help="seconds for the agent to become live (90)")

    def handle(self, *_args: Any, **options: Any) -> None:
        self.console = Console(highlight=False)
        self.once = options["once"]
        self.with_story = not options["no_story"]
        self.patience = options["patience"]
        self.url = f"http://{HOST}:{options['port']}"
        self.exit_code = int(self.once)  # until the main job is done; who serves is stopped by a signal, no failure
        if not is_free(HOST, options["port"]):
            raise CommandError(f"Port {options['port']} is taken. Choose another: make up PORT={options['port'] + 1}")
        try:
            self.lock = home.claim(settings.HOME)
        except home.HomeInUse as error:
            raise CommandError(str(error)) from error
        if "POWERLOOM_API_URL" not in os.environ:
            settings.API_URL = f"{self.url}/api"
        self.fleet_socket = self._listen_for_fleet(options["port"] + 1)
        self.runtime = self._runtime()
        try:
            call_command("migrate", verbosity=0, interactive=False)
            claims.release_all()
            deploying.release_all()
            moves.follow()
            call_command("create_organization", devorg.NAME, admin_email=devorg.ADMIN, if_missing=True, verbosity=0)
            self.sources = self._grant_sources(reaches_fleet=self.runtime is not None)
            self._serve(options["port"])
        finally:
            if self.runtime:
                self.runtime.stop()
        leave(self.exit_code)

    def _listen_for_fleet(self, beside: int) -> socket.socket:
        """Take the fleet's port: the one that was asked for, else that beside the console's, else any that is free."""
        is_chosen = {"POWERLOOM_FLEET_PORT", "POWERLOOM_FLEET_URL"} & os.environ.keys()
        for port in [settings.FLEET_PORT] if is_chosen else [beside, 0]:
            try:
                listener = fleet.listen(HOST, port)
            except (OSError, OverflowError):
                continue
            if not is_chosen:
                settings.FLEET_PORT = listener.getsockname()[1]
                settings.FLEET_URL = f"http://{HOST}:{settings.FLEET_PORT}"
            return listener
        raise CommandError(f"Port {settings.FLEET_PORT} is taken. Choose another one with POWERLOOM_FLEET_PORT.")

    def _grant_sources(self, *, reaches_fleet: bool) -> Path | None:
        """Let the development organization serve the product's own sources. Returns None, told why, where it cannot."""
        sources: Path = settings.BASE_DIR
        try:
            if not reaches_fleet:
                raise CommandError("the hosted CMA does not reach the fleet on this machine.")
            call_command("grant_file_root", devorg.NAME, str(sources), if_missing=True, verbosity=0)
        except CommandError as error:
            self.console.print(f"{devorg.DEPLOYMENT['name']} is left out: {error}", soft_wrap=True)
            return None
        return sources

    def _runtime(self) -> LocalRuntime | None:
        """Start the local runtime unless a hosted CMA is named; either way the rest of the product only knows a URL
        and a key.
        """
        if settings.CMA_URL or settings.CMA_KEY:
            if not (settings.CMA_URL and settings.CMA_KEY):
                raise CommandError("Set both POWERLOOM_CMA_URL and ANTHROPIC_API_KEY for the hosted CMA, or neither.")
            return None
        logs = settings.HOME / "logs"
        logs.mkdir(exist_ok=True)
        runtime = LocalRuntime(settings.HOME / "runtime", logs / "local-runtime.log")
        runtime.start()
        settings.CMA_URL, settings.CMA_KEY = runtime.url, runtime.key
        return runtime

    def _serve(self, port: int) -> None:
        from powerloom.run.embedded import Embedded  # noqa: PLC0415  it installs Twisted's reactor, and no other command needs that

        self.process = Embedded(
            host=HOST, port=port, fleet_socket=self.fleet_socket, on_ready=self._ready, on_late=self._cut
        )
        self.process.run()

    def _cut(self) -> None:
        if self.runtime:
            self.runtime.kill()
        os._exit(self.exit_code)

    def _ready(self) -> None:
        threading.Thread(target=self._tell, name="story", daemon=True).start()

    def _tell(self) -> None:
        try:
            if self.with_story:
                Story(self.url, self.console, sources=self.sources, patience=self.patience).tell()
            self.exit_code = 0
        except StoryFailed as failure:
            if self.process.is_stopping:
                self.console.print(f"\nStopped during “{failure.step}”; the next start goes on.")
            else:
                words = escape(visible(str(failure)))
                self.console.print(f"\n[red]Failed at “{failure.step}”:[/red] {words}", soft_wrap=True)
        finally:
            if self.once:
                self.process.stop()
        if not self.once and not self.process.is_stopping:
            self.console.print(f"\nServing on [bold]{self.url}[/bold]. Ctrl-C stops everything; nothing is lost.")
