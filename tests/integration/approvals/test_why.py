"""Why: what is refused, held, stopped or not replayed says so in one shape."""

from typing import Any

from django.utils import timezone

from accounts.models import Binding
from agents.kinds import SyncKind
from approvals import replay
from approvals.models import ApprovalRequest
from powerloom.reconcile.models import SyncState
from tests.declared import make_agent
from tests.held import ask_for_agent, decide, held_agent, make_policy
from tests.world import World, api_of, bind


def check(explain: Any, decided_by: str, remedy: str, *who: str) -> None:
    """One shape: facts of which one decided, and steps with those who can take them."""
    assert set(explain) == {"facts", "decided_by", "remedy"}
    assert [fact["text"] for fact in explain["facts"] if fact["decides"]] == [explain["decided_by"]]
    assert decided_by in explain["decided_by"]
    (step, *_) = [step for step in explain["remedy"] if remedy in step["text"]]
    assert set(who) <= set(step["who"])


def test_a_refusal_says_what_decided_and_who_can_grant(world: World) -> None:
    answer = ask_for_agent(world.eve, world.engineering).json()["error"]["detail"]["explain"]
    check(answer, "nothing on the path allows it", "Bind AgentOwner on /acme/engineering", "user:bob@acme.example")
    (step,) = answer["remedy"]
    assert step["request"] == {"action": "agent:create", "ou_id": str(world.engineering.id)}


def test_a_deny_is_named_with_those_who_can_end_it(world: World) -> None:
    bind(world.eve, "AgentOwner", world.engineering)
    bind(world.eve, "AgentOwner", world.engineering, decision="deny")
    answer = ask_for_agent(world.eve, world.engineering).json()["error"]["detail"]["explain"]
    check(answer, "deny of AgentOwner to user:eve@acme.example", "End the deny", "user:bob@acme.example")


def test_a_refusal_outside_the_law_of_access_has_the_shape_too(world: World) -> None:
    make_policy(world.alice, world.engineering)
    bind(world.bob, "Approver", world.engineering)
    refused = decide(world.bob, held_agent(world.bob, world.engineering))
    check(refused.json()["error"]["detail"]["explain"], "Who asks does not decide.", "somebody who can")


def test_a_held_write_says_which_policy_and_who_approves(world: World) -> None:
    make_policy(world.alice, world.engineering)
    answer = ask_for_agent(world.bob, world.engineering).json()["explain"]
    check(answer, "the policy gate holds it", "Have it approved by Approver", "user:vera@acme.example")


def test_a_replay_that_failed_says_why_and_who_may_ask_again(world: World) -> None:
    make_policy(world.alice, world.engineering)
    request = held_agent(world.bob, world.engineering)
    decide(world.vera, request)
    Binding.objects.filter(principal_id=world.bob.pk).update(ended_at=timezone.now())
    replay.run()
    failure = ApprovalRequest.objects.get(pk=request.pk).failure
    assert failure
    check(failure["explain"], "nothing on the path", "Ask for the change again.", "user:bob@acme.example")


def test_a_sync_that_stopped_says_why_and_who_can_mend_it(world: World) -> None:
    agent = make_agent(world.bob, world.engineering)
    SyncState.objects.filter(kind=SyncKind.AGENT, object_id=agent.id).update(
        parked_at=timezone.now(), attempts=10, condition="rejected", last_error="CMA refuses this (400): no such model"
    )
    answer = api_of(world.bob).get(f"/agents/{agent.id}/sync-status").json()["explain"]
    check(answer, "no such model", "Change what it names", "user:bob@acme.example")


def test_a_sync_that_waits_says_for_what(world: World) -> None:
    agent = make_agent(world.bob, world.engineering)
    SyncState.objects.filter(kind=SyncKind.AGENT, object_id=agent.id).update(waits_for="the environment")
    answer = api_of(world.bob).get(f"/agents/{agent.id}/sync-status").json()["explain"]
    check(answer, "waits for the environment", "it goes on when the environment is there")


def test_access_explain_names_what_decided_in_the_same_words(world: World) -> None:
    asked = {"action": "agent:create", "ou_id": str(world.engineering.id)}
    answer = api_of(world.eve).get("/access/explain", asked).json()
    assert answer["decided_by"] == "nothing on the path allows it"
