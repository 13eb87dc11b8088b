"""Runs the suite: all of it on SQLite with the bells in memory, then on PostgreSQL and Redis, both private.

    python -m tests.run [pytest arguments]

The second run looks at what may differ there (see `TWICE` in `tests.conftest`), or with `--whole` at everything. Each
run ends with pytest's own closing line.
The exit status is that of the first run that failed; a run in which nothing was left to do has not failed.
"""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from types import FrameType

from tests.migrated import migrating
from tests.servers import NoServerError, dying_with_us, servers

# One worker more than CI has processors, since some tests wait. In our own order (see `pytest_collection_modifyitems`):
# xdist would begin the files of few but long tests last.
OPTIONS = ("-n", "3", "--dist", "loadscope", "--no-loadscope-reorder", "--tb", "short")
NOTHING_COLLECTED = 5  # pytest's exit status


def main(arguments: list[str]) -> int:
    signal.signal(signal.SIGTERM, leave)
    with ExitStack() as stack:
        try:
            private = stack.enter_context(servers())
        except NoServerError as error:
            return pytest(arguments, {}) or sys.exit(f"No second run: {error}")
        template = stack.enter_context(migrating(private.database_url))
        first = pytest(arguments, {})
        there = {"DATABASE_URL": private.database_url, "REDIS_URL": private.redis_url, "TEMPLATE_DATABASE": template()}
        second = pytest(arguments, {**there, "SECOND_RUN": "1"})
    if {first, second} == {0, NOTHING_COLLECTED}:
        return 0
    return first or second


def pytest(arguments: list[str], places: dict[str, str]) -> int:
    """Run pytest to its end in a process of its own, and answer its exit status."""
    print(f"\nOn {'PostgreSQL and Redis' if places else 'SQLite'}:", flush=True)
    environment = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
    command = [*dying_with_us(), sys.executable, "-m", "pytest", *OPTIONS, *arguments]
    with subprocess.Popen(command, env=environment | places) as process:
        try:
            return process.wait()
        except SystemExit:
            process.send_signal(signal.SIGINT)  # pytest takes it for Ctrl-C: it closes its fixtures and its workers
            raise


def leave(signum: int, frame: FrameType | None) -> None:
    """Make SIGTERM leave every block on its way out, so that the servers end."""
    sys.exit(128 + signum)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
