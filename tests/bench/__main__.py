"""Runs the benches and prints each ratio beside its limit: `python -m tests.bench [name …]`.

Exits with 1 when one is over.

Each bench is a process of its own, so none warms or burdens another.
"""

import os
import pkgutil
import subprocess
import sys
from importlib import import_module

from tests import bench
from tests.bench.measure import MARK, Ratio

PREFIX = "ratio "
NOT_BENCHES = {"__main__", "measure"}


def main(names: list[str]) -> int:
    known = sorted(module.name for module in pkgutil.iter_modules(bench.__path__) if module.name not in NOT_BENCHES)
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"There is no bench {unknown[0]}; there are {', '.join(known)}.", file=sys.stderr)
        return 2
    failed = False
    for name in names or known:
        ratios, status = run(name)
        for ratio in ratios:
            told = f"   ({ratio.told})" if ratio.told else ""
            mark = "  " if ratio.is_kept else "✗ "
            print(f"{mark}{ratio.value:8.2f}  {ratio.limit:>7}  {name}: {ratio.name}{told}", flush=True)
        if status:
            print(f"✗ {name} ended with status {status}", flush=True)
        failed |= bool(status) or not all(ratio.is_kept for ratio in ratios) or not ratios
    return int(failed)


def run(name: str) -> tuple[list[Ratio], int]:
    """Run one bench in a process of its own; return its ratios and its exit status."""
    command = [sys.executable, "-m", "tests.bench", "--alone", name]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    lines = [line.removeprefix(PREFIX) for line in done.stdout.splitlines() if line.startswith(PREFIX)]
    return [Ratio.of_line(line) for line in lines], done.returncode


def alone(name: str) -> int:
    """Measure one bench in this process, on a database of its own."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    for variable in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(variable, None)
    import django  # noqa: PLC0415 - the settings must be chosen first

    django.setup()
    from django.core.management import call_command  # noqa: PLC0415 - as above

    call_command("migrate", verbosity=0)
    module = import_module(f"tests.bench.{name}")
    for function in [value for value in vars(module).values() if getattr(value, MARK, False)]:
        for ratio in function():
            print(f"{PREFIX}{ratio.as_line()}", flush=True)
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--alone"]:
        sys.exit(alone(sys.argv[2]))
    sys.exit(main(sys.argv[1:]))
