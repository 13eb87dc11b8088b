"""The whole product: `manage.py up` on a free port, with a data folder of its own; `first_run` starts it as a newcomer
does.
"""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from powerloom.kernel.tls import trust
from tests.migrated import copy_migrated
from tests.programs import Begin, Process, by_command_line, start
from tests.servers import free_port
from tests.waiting import until

READY_SECONDS = 120
STOP_SECONDS = 6  # what the product promises
API_HOST = "api.powerloom.org"  # as the documentation calls it


@dataclass
class Product:
    """A running `up`. Its output is in `log`."""

    url: str
    home: Path
    process: Process
    log: Path

    def output(self) -> str:
        return self.log.read_text()

    def wait_ready(self) -> None:
        """Return once `/readyz` answers 200."""
        until(self._is_ready, within=READY_SECONDS, what=f"the product at {self.url}")

    def wait_told(self, text: str, *, within: float = READY_SECONDS) -> None:
        """Return once the output matches the pattern; fails at once when the process ended before."""

        def told() -> bool:
            found = re.search(text, self.output())
            assert found or self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.output()}"
            return bool(found)

        until(told, within=within, what=f"{text!r} in:\n{self.output()}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and return the exit status; fails when it takes longer than promised."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def client(self, email: str) -> httpx.Client:
        """Return a client of the API, signed in by name."""
        answer = httpx.get(f"{self.url}/api/auth/login", params={"as": email}, trust_env=False, verify=trust())
        bearer = {"Authorization": f"Bearer {answer.json()['tokens']['access_token']}"}
        return httpx.Client(base_url=f"{self.url}/api", headers=bearer, timeout=30, trust_env=False, verify=trust())

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.output()}"
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False, verify=trust()).is_success
        except httpx.HTTPError:
            return False


def environment_for(home: Path, **more: str) -> dict[str, str]:
    """Return this process's environment without its Powerloom, database and broker settings, and with the data
    folder.
    """
    ours = ("POWERLOOM_", "DATABASE_URL", "REDIS_URL", "DJANGO_", "ANTHROPIC_", "PORT", "ONCE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "POWERLOOM_HOME": str(home), "COLUMNS": "200", **more}


@contextmanager
def product(home: Path, *arguments: str, **environment: str) -> Iterator[Product]:
    """Start `manage.py up` with the arguments; killed at the end of the block if it still runs.

    A data folder that is not there is made with a migrated database in it.
    """
    with begun(home, start, *arguments, **environment) as started:
        yield started


@contextmanager
def begun(home: Path, begin: Begin, *arguments: str, **environment: str) -> Iterator[Product]:
    """As `product`, for which it is to be chosen how the process starts."""
    if not home.exists():
        home.mkdir(parents=True)
        copy_migrated(home / "powerloom.sqlite3")
    with running(home, begin, *arguments, **environment) as started:
        yield started


@contextmanager
def first_run(home: Path, *arguments: str, **environment: str) -> Iterator[Product]:
    """As `product`, but as a newcomer does: with an empty data folder, and by the command line itself."""
    home.mkdir(parents=True)
    with running(home, by_command_line, *arguments, **environment) as started:
        yield started


@contextmanager
def running(home: Path, begin: Begin, *arguments: str, **environment: str) -> Iterator[Product]:
    """Start `manage.py up` on the data folder; killed at the end of the block if it still runs."""
    port = free_port()
    log = home.parent / f"{home.name}.log"
    with log.open("w") as out:
        command = ("manage.py", "up", "--port", str(port), *arguments)
        process = begin(*command, env=environment_for(home, **environment), out=out)
    try:
        yield Product(f"http://127.0.0.1:{port}", home, process, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
