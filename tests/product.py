"""The whole product as a newcomer starts it: `manage.py up` as a child, on a free port, with a data folder of its
own.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from powerloom.kernel.tls import trust
from tests.migrated import copy_migrated
from tests.servers import free_port
from tests.waiting import until

ROOT = Path(__file__).parent.parent
READY_SECONDS = 120
STOP_SECONDS = 6  # what the product promises
API_HOST = "api.powerloom.org"  # as the documentation calls it


@dataclass
class Product:
    """A running `up`. Its output is in `log`."""

    url: str
    home: Path
    process: subprocess.Popen[str]
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

    A data folder that is not there is made with a migrated database in it; `first_run` begins with an empty one.
    """
    if not home.exists():
        home.mkdir(parents=True)
        copy_migrated(home / "powerloom.sqlite3")
    with first_run(home, *arguments, **environment) as started:
        yield started


@contextmanager
def first_run(home: Path, *arguments: str, **environment: str) -> Iterator[Product]:
    """As `product`, with the data folder as it is, for a newcomer empty."""
    port = free_port()
    home.mkdir(parents=True, exist_ok=True)
    log = home.parent / f"{home.name}.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--port", str(port), *arguments],
            cwd=ROOT,
            env=environment_for(home, **environment),
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        yield Product(f"http://127.0.0.1:{port}", home, process, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
