"""The local runtime as a child process: started with a random key, restarted when it dies, stopped with its parent."""

from __future__ import annotations

import ctypes
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

log = logging.getLogger(__name__)

START_SECONDS = 20
GRACE_SECONDS = 2
RESTART_SECONDS = 1.0
PR_SET_PDEATHSIG = 1  # prctl(2)


class LocalRuntime:
    """A supervised `python -m powerloom.cma.local` on a free loopback port."""

    def __init__(self, data: Path, log_file: Path) -> None:
        self.key = f"local-{secrets.token_urlsafe(24)}"
        self.port = _free_port()
        self._data = data
        self._log_file = log_file
        self._process: subprocess.Popen[str] | None = None
        self._stopping = threading.Event()
        self._lock = threading.Lock()  # either it is started again or it is stopped
        self._watcher = threading.Thread(target=self._watch, name="local-runtime-watcher", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and return once it listens. Raises `RuntimeError` with the end of its log when it does not."""
        self._await_listening(self._spawn())
        self._watcher.start()

    def stop(self) -> None:
        """End it; after a grace period by force."""
        with self._lock:
            self._stopping.set()
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """End it by force: there is no time left."""
        with self._lock:
            self._stopping.set()
        if self._process is not None:
            self._process.kill()

    def _spawn(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "powerloom.cma.local", "--port", str(self.port), "--data", str(self._data)]
        # The key goes by the environment: arguments are visible to every user of the machine.
        environment = {**os.environ, "POWERLOOM_LOCAL_KEY": self.key}
        self._process = subprocess.Popen(  # noqa: S603  our own module, no shell
            command,
            stdout=subprocess.PIPE,
            stderr=self._log_file.open("a"),
            text=True,
            env=environment,
            start_new_session=True,  # a Ctrl-C in the terminal reaches the parent alone, which stops things in order
            preexec_fn=_die_with_parent,  # noqa: PLW1509  one system call, no lock that a thread could hold
        )
        return self._process

    def _await_listening(self, process: subprocess.Popen[str]) -> None:
        timer = threading.Timer(START_SECONDS, process.kill)
        timer.start()
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
        finally:
            timer.cancel()
        if "listening" not in line:
            raise RuntimeError(f"The local runtime did not start. Its log is {self._log_file}.")

    def _watch(self) -> None:
        while not self._stopping.is_set():
            assert self._process is not None
            code = self._process.wait()
            if self._stopping.wait(RESTART_SECONDS):
                return
            log.warning("The local runtime ended; starting it again", extra={"exit_code": code})
            with self._lock:
                if self._stopping.is_set():
                    return
                process = self._spawn()
            self._await_listening(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> None:
    """In the child: be killed when the parent dies in any way (Linux only; elsewhere an orphan must be stopped by
    hand).
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
