from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.audit.trails import heads_in


@pytest.fixture(autouse=True)
def heads(tmp_path: Path) -> Iterator[Path]:
    """The folder of the signed heads of this test."""
    with heads_in(tmp_path):
        yield tmp_path / "audit"
