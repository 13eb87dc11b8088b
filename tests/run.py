"""Runs the suite: all of it on SQLite with the bells in memory, and beside that on PostgreSQL and Redis, both private.

    python -m tests.run [pytest arguments]

The second run looks at what may differ there (see `TWICE` in `tests.conftest`), or with `--whole` at everything. What
it says is shown when the first has ended. Each run ends with pytest's own closing line.
The exit status is that of the first run that failed; a run in which nothing was left to do has not failed.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryFile
from types import FrameType
from typing import IO

from tests.migrated import migrating
from tests.servers import NoServerError, dying_with_us, servers

# One worker more for each run than CI has processors for, since some tests wait. In our own order (see
# `pytest_collection_modifyitems`): xdist would begin the files of few but long tests last.
OPTIONS = ("--dist", "loadscope", "--no-loadscope-reorder", "--tb", "short")
FIRST, SECOND = ("-n", "3"), ("-n", "1")
NOTHING_COLLECTED = 5  # pytest's exit status


def main(arguments: list[str]) -> int:
    signal.signal(signal.SIGTERM, leave)
    with ExitStack() as stack:
        print("On SQLite:", flush=True)
        first = stack.enter_context(pytest([*FIRST, *arguments], {}))
        try:
            private = stack.enter_context(servers())
        except NoServerError as error:
            return first.wait() or sys.exit(f"No second run: {error}")
        template = stack.enter_context(migrating(private.database_url))()
        there = {"DATABASE_URL": private.database_url, "REDIS_URL": private.redis_url, "TEMPLATE_DATABASE": template}
        said = stack.enter_context(TemporaryFile())
        second = stack.enter_context(pytest([*SECOND, *arguments], {**there, "SECOND_RUN": "1"}, said))
        statuses = (first.wait(), second.wait())
        print("\nOn PostgreSQL and Redis:", flush=True)
        said.seek(0)
        shutil.copyfileobj(said, sys.stdout.buffer)
    return next((status for status in statuses if status), 0) if {*statuses} != {0, NOTHING_COLLECTED} else 0


@contextmanager
def pytest(
    arguments: list[str], places: dict[str, str], said: IO[bytes] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """Let pytest run in a process of its own, as long as it takes; one that has to leave closes its fixtures."""
    environment = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
    command = [*dying_with_us(), sys.executable, "-m", "pytest", *OPTIONS, *arguments]
    errors = subprocess.STDOUT if said else None
    with subprocess.Popen(command, env=environment | places, stdout=said, stderr=errors) as process:
        try:
            yield process
        except SystemExit:
            process.send_signal(signal.SIGINT)  # pytest takes it for Ctrl-C
            raise


def leave(signum: int, frame: FrameType | None) -> None:
    """Make SIGTERM leave every block on its way out, so that the servers end."""
    sys.exit(128 + signum)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
