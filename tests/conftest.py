"""What holds for every test: loopback only, nothing left out on CI, and each test in the runs it belongs to.

Fixtures by subject: `tests.database` (committed_db, race, rival), `tests.browser` (chromium, page), `tests.foreign`
(foreign: an MCP server).
"""

import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.db import connection
from xdist.scheduler import LoadScopeScheduling

pytest_plugins = ["tests.browser", "tests.database", "tests.shop", "tests.foreign", "tests.world"]

# What the second run looks at again, besides whatever commits for real, races or starts processes, and what is marked
# `twice`: SQL of our own (triggers, closures, chains, budgets), what the bus and the lists promise, and sets. All else
# asks the database by Django's own words, and the two tables of routes and pages ask each such question there.
TWICE = (
    "acceptance",
    "integration/audit",
    "integration/commands",
    "integration/web/test_lists.py",
    "integration/manifests",
    "integration/reconcile/test_budget.py",
    "integration/reconcile/test_converging.py",
    "integration/reconcile/test_sweep.py",
    "integration/test_databases.py",
    "integration/accounts/test_law_properties.py",
    "integration/accounts/test_together.py",
    "integration/accounts/test_access_api.py",
    "integration/agents/test_together.py",
    "integration/api/test_audit_api.py",
)
LONG = (
    "acceptance",
    "contract",
    "integration/console/test_matrix.py",
    "integration/test_route_table.py",
    "integration/manifests/test_many.py",
)
LONGEST = ("acceptance/browser", "acceptance/told")
ELSEWHERE = ("postgres_only", "redis_only")  # marks of what the first run cannot look at
PURE = {"unit", "house", "contract"}  # these ask no database
SHARING = ("acceptance/told", "acceptance/served")  # each with a product that is started once, see their conftests
HERE = Path(__file__).parent


def on_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true"}


def is_second() -> bool:
    return bool(os.environ.get("SECOND_RUN"))


def fewer(examples: int) -> int:
    """How many of these examples this run looks at: the second looks for what differs by database, which few show."""
    return max(5, examples // 4) if is_second() else examples


# A busy machine is no counterexample. CI judges the change, by the same examples each time, and has fifteen minutes.
EXAMPLES = fewer(30 if on_ci() else 60)
hypothesis.settings.register_profile("powerloom", deadline=None, max_examples=EXAMPLES, derandomize=on_ci())
hypothesis.settings.load_profile("powerloom")


# --- Sockets: loopback only


class OutsideError(AssertionError):
    """A test tried to reach another machine."""


def is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host in {"", "localhost"}


def refuse_outside(address: object) -> None:
    """Let paths (unix sockets) and loopback pass. Raises OutsideError."""
    host = address[0] if isinstance(address, tuple) else None
    if isinstance(host, str) and not is_here(host):
        raise OutsideError(f"tests talk to this machine only, not to {host}")


@pytest.fixture(autouse=True, scope="session")
def loopback_only() -> Iterator[None]:
    """Names are not looked up outside, and addresses outside are not reached."""
    originals = {name: getattr(socket.socket, name) for name in ("connect", "connect_ex")}
    look_up = socket.getaddrinfo

    def guarded(name: str) -> Any:
        def call(itself: socket.socket, address: Any) -> Any:
            refuse_outside(address)
            return originals[name](itself, address)

        return call

    def look_up_here(host: Any, *arguments: Any, **options: Any) -> Any:
        refuse_outside((host.decode() if isinstance(host, bytes) else host,))
        return look_up(host, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        for name in originals:
            patch.setattr(socket.socket, name, guarded(name))
        patch.setattr(socket, "getaddrinfo", look_up_here)
        yield


# --- Which tests run where


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole", action="store_true", help="let the second run look at everything again")


def sharing(file: str) -> str:
    """Return the folder whose files share one product; nothing where a file has none, or its own."""
    folder = file.rpartition("/")[0]
    return folder if folder.endswith(SHARING) else ""


class ByProduct(LoadScopeScheduling):  # type: ignore[misc]  # xdist is untyped
    """Hands a worker a file or class, as loadscope does, and all the files of a folder that share one product."""

    def _split_scope(self, nodeid: str) -> str:
        return sharing(nodeid.partition("::")[0]) or str(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return ByProduct(config, log) if config.getoption("dist") == "loadscope" else None


@pytest.hookimpl(trylast=True)  # what shuffles comes before
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Choose the tests of this run, and their order."""
    for item in items:
        refuse_flushing(item)
        fixtures = item.fixturenames if isinstance(item, pytest.Function) else []
        if "committed_db" in fixtures:
            fixtures.append("transactional_db")  # by this name pytest-django knows that a database is needed
    unwanted, whole = absent(), config.getoption("--whole")
    out = [item for item in items if unwanted & marks_of(item) or not is_of_this_run(item, whole=whole)]
    if out:
        config.hook.pytest_deselected(items=out)
        left_out = set(out)
        items[:] = [item for item in items if item not in left_out]
    items[:] = spread(items)


def spread(items: list[pytest.Item]) -> list[pytest.Item]:
    """Put a long file, or all the files that share a product, after every few others, the longest first and none of
    them last: one worker waits for a product while the others use the processors, and none is left alone with it at
    the end.
    """
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        place = item.path.relative_to(HERE).as_posix()
        files.setdefault(sharing(place) or place, []).append(item)
    long = sorted((file for file in files if file.startswith(LONG)), key=lambda file: not file.startswith(LONGEST))
    quick = [file for file in files if file not in long]
    between = len(quick) * 2 // 3 // max(len(long), 1) or 1
    order = []
    for number, file in enumerate(quick):
        if long and number % between == 0:
            order.append(long.pop(0))
        order.append(file)
    return [item for file in (*order, *long) for item in files[file]]


def marks_of(item: pytest.Item) -> set[str]:
    return {mark.name for mark in item.iter_markers()}


def is_of_this_run(item: pytest.Item, *, whole: bool) -> bool:
    """Tell whether it can tell more, on the databases of this run, than it told on those of the run before."""
    if not is_second():
        return True
    fixtures = item.fixturenames if isinstance(item, pytest.Function) else []
    marks = marks_of(item)
    if "once" in marks or "chromium" in fixtures:
        return False
    place = item.path.relative_to(HERE).as_posix()
    return whole or "committed_db" in fixtures or bool(marks & {"twice", *ELSEWHERE}) or place.startswith(TWICE)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Read no pure tests for the second run."""
    return True if is_second() and collection_path.parent == HERE and collection_path.name in PURE else None


def absent() -> set[str]:
    """The marks of tests that have no place in this run."""
    postgres, broker = connection.vendor == "postgresql", bool(os.environ.get("REDIS_URL"))
    marks = {"sqlite_only"} if postgres or broker else set()
    there = dict(zip(ELSEWHERE, (postgres, broker), strict=True))
    return marks | {mark for mark, is_there in there.items() if not is_there}


def refuse_flushing(item: pytest.Item) -> None:
    mark = item.get_closest_marker("django_db")
    if mark and (mark.kwargs.get("transaction") or any(mark.args)):
        raise pytest.UsageError(f"{item.nodeid}: the audit tables refuse to be flushed; use the fixture committed_db")


# --- On CI nothing is left out


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Any:
    report = yield
    return fail_a_skip(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Any:
    report = yield
    return fail_a_skip(report)


def fail_a_skip(report: Any) -> Any:
    """Where CI=true, a test that could not run has not passed."""
    if on_ci() and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"on CI nothing is skipped: {report.longrepr[2]}"
    return report
