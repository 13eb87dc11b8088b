from collections.abc import Iterator

import pytest

from tests.product import API_HOST, Product, product


@pytest.fixture(scope="package")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The product once it has told its story, also on an API host of its own; one for all the files here."""
    hosts = {"POWERLOOM_API_HOSTS": API_HOST, "POWERLOOM_ALLOWED_HOSTS": f"localhost,127.0.0.1,{API_HOST}"}
    with product(tmp_path_factory.mktemp("told") / "home", **hosts) as started:
        started.wait_told("Serving on")
        yield started
        assert started.stop() == 0
