"""Our Python programs in processes of their own, each forked from one that has loaded the libraries: most of the time
of a start goes into imports. `by_command_line` starts one as a shell does.

    with log.open("ab") as out:
        relay = start("manage.py", "relay", env=environment, out=out)
    done = run("manage.py", "verify_audit", env=environment)

What is given stands after `python` on a command line: a script, or `-m` and a module. A forked program has an
environment, arguments, files, signals and an exit status of its own. It is no child of ours, reads no PYTHON* variable,
and ends without the interpreter's own shutdown.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

from django.conf import settings

ROOT = Path(__file__).resolve().parent.parent

# But for what asks the settings when it is loaded. Only time is lost by what is missing.
LIBRARIES = [
    "autobahn.twisted.websocket",
    "boto3",
    "cel_expr_python",
    "celery.beat",
    "celery.concurrency.thread",
    "celery.worker",
    "channels.generic.websocket",
    "channels.routing",
    "channels_redis.core",
    "csp.middleware",
    "django.contrib.auth.hashers",
    "django.contrib.staticfiles.storage",
    "django.core.management",
    "django.db.backends.sqlite3.base",
    "django.db.migrations.executor",
    "django.db.models",
    "django.forms",
    "django.template.defaulttags",
    "django.template.loader_tags",
    "django.test.client",
    "django.views.debug",
    "django_htmx.middleware",
    "httpcore2",
    "jsonschema",
    "jwt",
    "kombu.transport.memory",
    "kombu.transport.redis",
    "limits.storage",
    "limits.strategies",
    "mcp.client.streamable_http",
    "mcp.server.streamable_http_manager",
    "postgast",
    "powerloom.cli.main",
    "powerloom.cma.local.app",
    "powerloom.cma.wire",
    "psycopg_pool",
    "standardwebhooks",
    "tenacity",
    "truststore",
    "whitenoise.middleware",
]
loaded = multiprocessing.get_context("forkserver")
loaded.set_forkserver_preload(LIBRARIES)


class Process(Protocol):
    """What tests do with a program, whoever started it."""

    pid: int

    @property
    def returncode(self) -> Any: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int, /) -> None: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


class Begin(Protocol):
    """How a program is started: `start` or `by_command_line`."""

    def __call__(self, *arguments: str, env: Mapping[str, str], out: IO[Any] | int) -> Process: ...


class Program:
    """One that runs, or has ended, as `subprocess.Popen` shows it."""

    def __init__(
        self, arguments: tuple[str, ...], environment: Mapping[str, str], out: Connection, err: Connection
    ) -> None:
        self._arguments = arguments
        given = (arguments, dict(environment), out, err)
        self._process = loaded.Process(target=become, args=given, daemon=True)  # told to end when we do
        self._process.start()
        assert self._process.pid
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit status, negative where a signal ended it. Raises `subprocess.TimeoutExpired`."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._arguments, timeout or 0)
        return self._process.exitcode

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it may just have ended
                os.kill(self.pid, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.wait()


def start(*arguments: str, env: Mapping[str, str], out: IO[Any] | int, err: IO[Any] | int | None = None) -> Program:
    """Start a program that writes to this file, or what has this descriptor; its errors as well, unless they have
    another.
    """
    with sent(out) as to, sent(out if err is None else err) as to_err:
        return Program(arguments, env, to, to_err)


def by_command_line(*arguments: str, env: Mapping[str, str], out: IO[Any] | int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=dict(env), stdout=out, stderr=out)


def run(*arguments: str, env: Mapping[str, str], seconds: float = 120) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end, with what it wrote. One that lasts longer is ended, and `TimeoutExpired` raised."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        program = start(*arguments, env=env, out=out, err=err)
        try:
            status = program.wait(seconds)
        finally:
            program.kill()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(arguments, status, out.read(), err.read())


def sent(file: IO[Any] | int) -> Connection:
    """Return the file as what may be sent to another process."""
    return Connection(os.dup(file if isinstance(file, int) else file.fileno()), readable=False)


def become(arguments: tuple[str, ...], environment: dict[str, str], out: Connection, err: Connection) -> None:
    """Be that program, in the process that was forked for it."""
    assert not settings.configured, "it reads its own"
    for number, sink in ((1, out), (2, err)):
        os.dup2(sink.fileno(), number)
        sink.close()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    if arguments[0] == "-m":
        sys.argv = list(arguments[1:])
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(arguments)
        runpy.run_path(arguments[0], run_name="__main__")
