"""Rows that every test of a module begins with are made once for the module.

    @standing
    def agent(world: World) -> Agent:
        return make_agent(world.alice, world.engineering)

is a fixture like any other: each test finds the rows as they were made, and objects of its own that say so. When no
test of the module asks a database without it, the rows are made once, in a block around all these tests, and `db` takes
back what a test does to them. Where one does without, or commits for real, each test that wants them makes them.

What is made this way asks for nothing but other standing fixtures: settings and patches of one test are not there yet.
"""

import pickle
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from inspect import Parameter, Signature, signature
from typing import Any, ParamSpec, TypeVar, cast

import pytest
from pytest_django import DjangoDbBlocker

from tests.database import undone

P = ParamSpec("P")
T = TypeVar("T")
Makers = dict[str, Callable[..., Any]]


def standing(make: Callable[P, T]) -> Callable[P, T]:
    """Make a fixture of what the function makes of rows."""
    name, needs = make.__name__, [*signature(make).parameters]

    def fixture(standing_here: dict[str, Any], db: None, **needed: Any) -> Any:
        return standing_here[name] if name in standing_here else cast("Callable[..., T]", make)(**needed)

    fixture.__doc__, fixture.__module__ = make.__doc__, make.__module__
    parameters = [Parameter(one, Parameter.KEYWORD_ONLY) for one in ("standing_here", "db", *needs)]
    fixture.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # pytest reads what it asks for here
    fixture.makes = make  # type: ignore[attr-defined]  # for `makers`
    return cast("Callable[P, T]", pytest.fixture(name=name)(fixture))


@pytest.fixture(scope="module", autouse=True)
def standing_rows(request: pytest.FixtureRequest) -> Iterator[bytes]:
    """What all of the module begins with, pickled together, so that what belongs together stays so."""
    wanted = makers([item for item in request.session.items if item.path == request.path])
    if not wanted:
        yield pickle.dumps({})
        return
    request.getfixturevalue("django_db_setup")
    blocker: DjangoDbBlocker = request.getfixturevalue("django_db_blocker")
    made: dict[str, Any] = {}
    with blocker.unblock(), ExitStack() as stack:
        stack.enter_context(undone())
        for name in wanted:
            make_one(name, wanted, made)
        block = stack.pop_all()  # it stays open for the tests of the module
    yield pickle.dumps(made)
    with blocker.unblock():
        block.close()


@pytest.fixture
def standing_here(standing_rows: bytes) -> dict[str, Any]:
    """What stands for this test."""
    return cast("dict[str, Any]", pickle.loads(standing_rows))  # noqa: S301 - of our own making


def make_one(name: str, wanted: Makers, made: dict[str, Any]) -> None:
    needs = [*signature(wanted[name]).parameters]
    for need in needs:
        if need not in made:
            make_one(need, wanted, made)
    if name not in made:
        made[name] = wanted[name](**{need: made[need] for need in needs})


def makers(items: list[pytest.Item]) -> Makers:
    """Return what each test that asks a database begins with, by the fixture's name."""
    each = [makers_of(item) for item in items if asks_database(item)]
    if not each or any("committed_db" in fixtures_of(item) for item in items):
        return {}
    return {name: make for name, make in each[0].items() if all(other.get(name) is make for other in each[1:])}


def makers_of(item: pytest.Item) -> Makers:
    known: dict[str, Any] = item._fixtureinfo.name2fixturedefs  # type: ignore[attr-defined]
    definitions = {name: known[name][-1].func for name in fixtures_of(item) if known.get(name)}
    return {name: make.makes for name, make in definitions.items() if hasattr(make, "makes")}


def asks_database(item: pytest.Item) -> bool:
    return item.get_closest_marker("django_db") is not None or not {"db", "committed_db"}.isdisjoint(fixtures_of(item))


def fixtures_of(item: pytest.Item) -> list[str]:
    return item.fixturenames if isinstance(item, pytest.Function) else []
