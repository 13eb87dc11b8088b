"""A migrated database, made once and copied wherever a test or a product of the tests begins: migrating takes longer
than most tests. On SQLite it is a file for the sources as they are; on PostgreSQL a template beside the tests' own.
"""

import fcntl
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

import psycopg

from tests.servers import dying_with_us

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / ".pytest_cache" / "migrated"
COMMAND = [sys.executable, "manage.py", "migrate", "--skip-checks", "--verbosity", "0"]
TEMPLATE = "migrated"
SOURCES = ("powerloom", "accounts", "agents", "sessions", "approvals")  # migrations use more than their own folders


def copy_migrated(to: Path) -> None:
    """Put a freshly migrated database there; the first caller of all processes makes it."""
    shutil.copyfile(_template(), to)


@cache
def _template() -> Path:
    KEPT.mkdir(parents=True, exist_ok=True)
    template = KEPT / f"{_digest()}.sqlite3"
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not template.exists():
            for old in KEPT.glob("*.sqlite3"):
                old.unlink()
            _migrate(template)
    return template


def _digest() -> str:
    found = hashlib.sha256((ROOT / "requirements.lock").read_bytes())
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            found.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()


def _migrate(template: Path) -> None:
    """Make it whole before it has its name: a killed run leaves none that is half made."""
    with tempfile.TemporaryDirectory(dir=KEPT) as folder:
        subprocess.run(COMMAND, cwd=ROOT, env=_environment(folder), check=True)
        made = Path(folder) / "powerloom.sqlite3"
        with closing(sqlite3.connect(made)) as database:
            database.execute("PRAGMA journal_mode=DELETE")  # so that one file is all of it
        made.rename(template)


def _environment(folder: str, **places: str) -> dict[str, str]:
    apart = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
    return {**apart, "POWERLOOM_HOME": folder, "DJANGO_SETTINGS_MODULE": "powerloom.settings", **places}


@contextmanager
def migrating(database_url: str) -> Iterator[Callable[[], str]]:
    """Migrate a template on this PostgreSQL while the block does something else; what is given waits for its name."""
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {TEMPLATE}")
    template_url = f"{database_url.rpartition('/')[0]}/{TEMPLATE}"
    with tempfile.TemporaryDirectory(prefix="powerloom-template-") as folder:
        command, environment = [*dying_with_us(), *COMMAND], _environment(folder, DATABASE_URL=template_url)
        process = subprocess.Popen(command, cwd=ROOT, env=environment)

        def name() -> str:
            assert process.wait() == 0, "the template does not migrate"
            return TEMPLATE

        try:
            yield name
        finally:
            process.kill()
            process.wait()
