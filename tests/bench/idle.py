"""A tick with nothing to do, over many synced resources and over few."""

from django.utils import timezone

from agents.kinds import SyncKind
from powerloom.kernel.ids import new_id
from powerloom.reconcile import engine
from powerloom.reconcile.models import SyncState
from tests.bench.measure import Ratio, measured, typical

MANY, FEW = 100_000, 1_000
TIMES = 100
SLACK = 0.002  # seconds


@measured
def idle() -> list[Ratio]:
    _synced(FEW)
    few = typical(engine.tick, TIMES)
    _synced(MANY - FEW)
    many = typical(engine.tick, TIMES)
    # Below two milliseconds of difference a ratio says more about the clock than about us.
    ratio = many / few if many - few > SLACK else min(many / few, 1.2)
    told = f"{many * 1000:.2f} ms to {few * 1000:.2f} ms"
    return [Ratio(f"idle tick over {MANY:,} synced resources, to {FEW:,}", ratio, at_most=1.2, told=told)]


def _synced(count: int) -> None:
    organization_id = new_id()
    now = timezone.now()
    facts = {"desired_hash": "a" * 64, "actual_hash": "a" * 64, "remote_version": "1", "synced_at": now}
    SyncState.objects.bulk_create(
        (
            SyncState(
                kind=SyncKind.AGENT,
                object_id=(id_ := new_id()),
                organization_id=organization_id,
                remote_id=f"agent_{id_.hex}",
                actual={"name": "Reviewer", "system": "Review what you are given."},
                due_at=now,
                **facts,
            )
            for _ in range(count)
        ),
        batch_size=2000,
    )
