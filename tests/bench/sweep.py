"""Looking through 10,000 agents for drift: how many calls it takes."""

import tempfile
from pathlib import Path

from django.conf import settings

from powerloom.reconcile import engine, sweep
from powerloom.reconcile.models import SyncState
from tests.bench.measure import Ratio, measured, watch
from tests.converging import make_agents, runtime
from tests.world import make_organization

AGENTS = 10_000


@measured
def look_through() -> list[Ratio]:
    with tempfile.TemporaryDirectory() as folder, runtime(Path(folder), settings):
        make_agents(make_organization("many"), AGENTS)
        while engine.tick():
            pass
        assert SyncState.objects.exclude(remote_id="").count() == AGENTS + 1
        with watch() as stopped:
            found = sweep.sweep()[0]
    told = f"{stopped.seconds:.1f} s, {found.drifted} drifted, {found.vanished} vanished, {found.orphans} orphans"
    return [Ratio(f"read calls of a sweep of {AGENTS:,} agents", found.calls, at_most=110, told=told)]
