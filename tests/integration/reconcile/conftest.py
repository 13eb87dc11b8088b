"""A runtime for the tests of this folder, an organization, and a clock that is moved by hand."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Organization
from tests.converging import Runtime
from tests.local_runtime import LocalRuntime, local_runtime
from tests.world import make_organization


class MovedClock:
    """Real time, and what it was moved by."""

    def __init__(self) -> None:
        self.moved = timedelta()

    def __call__(self) -> datetime:
        return timezone.now() + self.moved

    def move(self, seconds: float) -> None:
        self.moved += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture(scope="package")
def shared_runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    """One process for all tests here, because starting one takes longer than most of them."""
    with local_runtime(tmp_path_factory.mktemp("cma"), "--pace", "0") as process:
        yield process


@pytest.fixture
def cma(shared_runtime: LocalRuntime, settings: Any) -> Iterator[Runtime]:
    """A runtime with nothing on it."""
    settings.CMA_URL, settings.CMA_KEY = shared_runtime.url, shared_runtime.key
    running = Runtime(shared_runtime)
    yield running
    if shared_runtime.process.poll() is not None:
        shared_runtime.start()
    running.clear()


@pytest.fixture
def acme(db: None) -> Organization:
    return make_organization("acme")
