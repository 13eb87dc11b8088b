from collections.abc import Iterator

import pytest

from tests.served import Served, served


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The product on a runtime of its own, one for all the files here."""
    with served(tmp_path_factory.mktemp("served")) as started:
        yield started
