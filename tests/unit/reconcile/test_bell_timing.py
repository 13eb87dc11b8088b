"""Many writes in a row ring twice: at once, and once after the last of them could have been missed."""

from powerloom.reconcile.bells import QUIET_SECONDS, Bell


def test_the_first_rings_at_once() -> None:
    assert Bell().delay(100.0) == 0.0


def test_those_right_after_ring_once_together() -> None:
    bell = Bell()
    bell.delay(100.0)
    assert bell.delay(100.1) == QUIET_SECONDS
    assert bell.delay(100.2) is None
    assert bell.delay(100.3) is None


def test_one_after_the_late_ring_is_heard_again() -> None:
    bell = Bell()
    bell.delay(100.0)
    bell.delay(100.1)
    assert bell.delay(100.4) == QUIET_SECONDS
    assert bell.delay(101.0) == 0.0
