"""A further kind is one driver, named in the settings."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from accounts.models import Organization
from powerloom.kernel.ids import new_id
from powerloom.reconcile import engine, intents
from powerloom.reconcile.models import SyncState
from powerloom.reconcile.registry import drivers
from tests.converging import Runtime
from tests.integration.reconcile.conftest import MovedClock

HERE = "tests.integration.reconcile.further"


@pytest.fixture
def use(settings: Any) -> Iterator[Callable[[str], None]]:
    """Name one of the further drivers in the settings."""

    def named(driver: str) -> None:
        settings.RECONCILE_DRIVERS = [f"{HERE}.{driver}"]
        drivers.cache_clear()

    yield named
    drivers.cache_clear()


def declared(acme: Organization) -> SyncState:
    intents.declare("chest", [id_ := new_id()], organization_id=acme.id)
    return SyncState.objects.get(object_id=id_)


def test_a_vault_is_converged_by_its_driver(cma: Runtime, acme: Organization, use: Callable[[str], None]) -> None:
    use("VaultDriver")
    row = declared(acme)
    engine.tick()
    row.refresh_from_db()
    vault = cma.ask(lambda client: client.vaults.retrieve(row.remote_id))
    assert vault["display_name"] == "Vault"
    assert not row.is_due


def test_what_cma_shows_differently_parks_instead_of_being_pushed_for_ever(
    cma: Runtime, acme: Organization, use: Callable[[str], None], clock: MovedClock
) -> None:
    use("OddDriver")
    row = declared(acme)
    engine.tick(clock=clock)
    row.refresh_from_db()
    assert row.parked_at is not None
    assert (row.condition, row.attempts) == ("not_representable", 0)
    assert row.drift == [{"path": "display_name", "desired": "Vault", "actual": "Something else"}]
    clock.move(3600)
    assert engine.tick(clock=clock) == 0


def test_a_defect_of_ours_is_told_without_its_words(
    cma: Runtime, acme: Organization, use: Callable[[str], None]
) -> None:
    use("BrokenDriver")
    row = declared(acme)
    engine.tick()
    row.refresh_from_db()
    assert (row.condition, row.attempts) == ("defect", 1)
    assert "KeyError" in row.last_error
    assert "secret" not in row.last_error


def test_a_kind_without_a_driver_is_left_alone(cma: Runtime, acme: Organization, use: Callable[[str], None]) -> None:
    row = declared(acme)
    assert engine.tick() == 0
    row.refresh_from_db()
    assert (row.is_due, row.attempts) == (True, 0)


def test_of_a_defect_with_a_secret_in_hand_not_even_the_log_has_the_words(
    cma: Runtime, acme: Organization, use: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    for driver, is_told in (("BrokenDriver", True), ("BrokenSafeDriver", False)):
        caplog.clear()
        use(driver)
        row = declared(acme)
        engine.tick()
        row.refresh_from_db()
        assert "KeyError" in row.last_error
        assert ("secret-token-in-a-message" in caplog.text) == is_told
        row.delete()
