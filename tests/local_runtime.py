"""Starts the CMA-compatible local runtime as a process of its own, for any test that needs one.

    with local_runtime(tmp_path, "--pace", "0") as runtime:
        CMA(base_url=runtime.url, api_key=runtime.key)

A free port, a private folder, a random key and `--faults`, unless told otherwise. `kill()` and `start()` on the same
object are a crash and a restart on the same port and data.
"""

import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from powerloom.kernel.tls import trust
from tests.programs import Program, start

READY = "listening on http://127.0.0.1:"
STOP_SECONDS = 10
STDERR = 2


class Faults:
    """Faults of one runtime; see `powerloom.cma.local.faults` for the words."""

    def __init__(self, runtime: "LocalRuntime") -> None:
        self._runtime = runtime

    def add(self, route: str, **fault: Any) -> None:
        """Make the next calls of `route` go wrong."""
        self._call("POST", {"route": route, **fault})

    def left(self) -> list[dict[str, Any]]:
        """Those that have not struck yet."""
        found: list[dict[str, Any]] = self._call("GET").json()["data"]
        return found

    def clear(self) -> None:
        """Remove all."""
        self._call("DELETE")

    def _call(self, method: str, body: dict[str, Any] | None = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {self._runtime.key}"}
        answer = httpx.request(
            method, f"{self._runtime.url}/local/faults", json=body, headers=headers, trust_env=False, verify=trust()
        )
        return answer.raise_for_status()


class LocalRuntime:
    """One runtime, started, killed and started again on the same port and folder."""

    process: Program

    def __init__(self, data: Path, *flags: str) -> None:
        self.data = data
        self.key = secrets.token_urlsafe(16)
        self.port = 0
        self.faults = Faults(self)
        self._flags = flags

    def obey(self, *, yes: bool) -> None:
        """Have its model do whatever any text tells it to, or not any more."""
        headers = {"authorization": f"Bearer {self.key}"}
        said = httpx.post(
            f"{self.url}/local/obedience", json={"obeys": yes}, headers=headers, trust_env=False, verify=trust()
        )
        said.raise_for_status()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it can be called."""
        command = ["-m", "powerloom.cma.local", "--port", str(self.port), "--data", str(self.data)]
        told, telling = os.pipe()
        self.process = start(
            *command, f"--key={self.key}", "--faults", *self._flags, env=os.environ, out=telling, err=STDERR
        )
        os.close(telling)
        with os.fdopen(told) as reader:
            line = reader.readline()
        if not line.startswith(READY):
            raise AssertionError(f"the local runtime did not start: {line!r}, status {self._reap()}")
        self.port = int(line.removeprefix(READY))

    def kill(self) -> None:
        """End it without any warning."""
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        """Ask it to end, as an operator would; gives its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self._reap()

    def _reap(self) -> int:
        try:
            return self.process.wait(STOP_SECONDS)
        finally:
            self.process.kill()


@contextmanager
def local_runtime(data: Path, *flags: str) -> Iterator[LocalRuntime]:
    """A runtime for as long as the context lasts."""
    runtime = LocalRuntime(data, *flags)
    runtime.start()
    try:
        yield runtime
    finally:
        runtime.stop()
