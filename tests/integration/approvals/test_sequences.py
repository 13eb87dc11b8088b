"""Whatever happens to requests, in any order: none is applied twice, and none without its requester's right."""

from collections import Counter
from datetime import timedelta
from typing import Any

from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Binding, User
from agents.commands import CreateAgent
from agents.models import Agent
from approvals import expiry, replay
from approvals.commands import CancelRequest, DecideRequest
from approvals.models import ApprovalRequest, Verdict
from powerloom.audit.models import Entry
from powerloom.commands.bus import submit
from powerloom.kernel.errors import PowerloomError
from powerloom.kernel.ids import new_id
from tests.conftest import fewer
from tests.database import undone
from tests.held import make_policy
from tests.world import World, actor_of, bind, make_user

ACTS = ("ask", "approve", "approve too", "reject", "cancel", "expire", "revoke", "restore", "replay", "die", "wake")
steps = st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 2)), min_size=4, max_size=14)


class Story:
    """Bob asks for three agents; two people approve, each request needs `quorum` of them."""

    def __init__(self, world: World, quorum: int) -> None:
        self.world, self.second = world, make_user("second@acme.example", home=world.sales)
        bind(self.second, "Approver", world.root)
        make_policy(world.alice, world.engineering, quorum=quorum)
        self.right = Binding.objects.get(principal_id=world.bob.pk)
        self.may = True

    def act(self, what: str, number: int) -> None:
        """Do it to the newest request for the agent of this number, if there is one; a refusal is an answer too."""
        request = ApprovalRequest.objects.filter(target_name=f"agent-{number}").order_by("-created_at", "-pk").first()
        try:
            if what == "ask":
                self.ask(number)
            elif request is not None:
                self.happen(what, request)
        except PowerloomError:
            return

    def ask(self, number: int) -> None:
        said = {"name": f"agent-{number}", "display_name": "A", "model": "m", "system_prompt": "p"}
        command = CreateAgent.model_validate({"id": new_id(), "ou_id": self.world.engineering.id, **said})
        submit(command, actor=actor_of(self.world.bob))

    def happen(self, what: str, request: ApprovalRequest) -> None:
        one = ApprovalRequest.objects.filter(pk=request.pk)
        match what:
            case "approve":
                self.decide(request, self.world.vera)
            case "approve too":
                self.decide(request, self.second)
            case "reject":
                self.decide(request, self.world.vera, Verdict.REJECT)
            case "cancel":
                submit(CancelRequest(request_id=request.pk), actor=actor_of(self.world.bob))
            case "expire":
                one.update(expires_at=timezone.now())
                expiry.sweep()
            case "revoke" | "restore":
                self.may = what == "restore"
                Binding.objects.filter(pk=self.right.pk).update(ended_at=None if self.may else timezone.now())
            case "replay":
                replay.run()
            case "die":
                replay._claimed(request.pk)  # and nothing more is heard of that worker
            case "wake":
                one.update(lease_until=timezone.now() - timedelta(seconds=1))

    def decide(self, request: ApprovalRequest, by: User, verdict: Verdict = Verdict.APPROVE) -> None:
        submit(DecideRequest(request_id=request.pk, verdict=verdict), actor=actor_of(by))


def made() -> Counter[str]:
    """How many agents each request has made, by the trail."""
    rows = Entry.objects.filter(action="agent:create", decision="allowed")
    return Counter(str(id_) for id_ in rows.values_list("approval_request_id", flat=True))


def yeses(request: ApprovalRequest) -> int:
    return request.decisions.filter(verdict=Verdict.APPROVE).count()


@settings(max_examples=fewer(12), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(quorum=st.integers(1, 2), steps=steps)
def test_nothing_is_applied_twice_or_without_the_right_of_that_moment(
    world: World, quorum: int, steps: list[tuple[str, int]]
) -> None:
    with undone():
        story = Story(world, quorum)
        before: Counter[str] = Counter()
        # Every story begins with something that can be applied.
        for what, number in [("ask", 0), ("approve", 0), *steps, ("wake", 0), ("replay", 0)]:
            story.act(what, number)
            now = made()
            assert not now - before or (what == "replay" and story.may), (what, now - before)
            before = now
        assert set(before.values()) <= {1}
        applied = {str(request.pk): request for request in ApprovalRequest.objects.filter(outcome="applied")}
        assert before.keys() == applied.keys()
        assert Agent.objects.count() == len(applied)
        assert all(yeses(request) >= quorum and request.status == "approved" for request in applied.values())


def test_the_stories_reach_what_they_are_about(world: World) -> None:
    story: Any = Story(world, 1)
    for what in ("ask", "approve", "die", "replay"):
        story.act(what, 0)
    assert not made()
    for what in ("wake", "revoke", "replay", "restore", "replay"):
        story.act(what, 0)
    assert ApprovalRequest.objects.get().status == "failed"
    for what in ("ask", "approve", "replay", "replay"):
        story.act(what, 0)
    assert list(made().values()) == [1]
