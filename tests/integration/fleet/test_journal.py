from datetime import timedelta

import pytest
from django.utils import timezone

from agents.fleet import journal
from agents.models import CallOutcome, MCPCall, MCPDeployment
from tests.wired import make_managed
from tests.world import World

pytestmark = pytest.mark.django_db


def entry(deployment: MCPDeployment, age: timedelta) -> MCPCall:
    return MCPCall.objects.create(
        organization_id=deployment.organization_id,
        deployment=deployment,
        tool="echo",
        outcome=CallOutcome.OK,
        milliseconds=1,
        created_at=timezone.now() - age,
    )


def test_the_oldest_calls_are_swept_and_the_others_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SWEPT_AT_ONCE", 2)
    deployment = make_managed(world.platform).deployment
    assert deployment is not None
    for _ in range(5):
        entry(deployment, journal.KEPT + timedelta(minutes=1))
    kept = entry(deployment, journal.KEPT - timedelta(minutes=1))
    assert journal.sweep() == 5
    assert list(MCPCall.objects.all()) == [kept]
    assert journal.sweep() == 0
