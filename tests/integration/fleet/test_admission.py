"""Whom the fleet lets in: every bearer, deployment and session state (the rule of fleet bearers), and every way out."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import Model
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.closures import refresh
from accounts.models import Binding, User
from accounts.tokens import sign_in_token
from agents.bearers import hash_of_given, mint
from agents.fleet.admission import _statement, admit
from agents.fleet.probing import probe_token
from agents.models import AgentMCPServer, Credential, DeploymentStatus, MCPDeployment, WithheldServer
from sessions.models import AgentSession, Status
from tests.database import undone
from tests.declared import make_agent
from tests.fleet import Caller, bearer_of, caller_of, make_caller
from tests.recorded import invoked
from tests.wired import make_credential, make_foreign, make_managed, wire
from tests.world import World, bind, make_token

pytestmark = pytest.mark.django_db

ALIVE = {Status.PENDING, Status.RUNNING, Status.IDLE_END_TURN}


def is_let_in(bearer: str, deployment: MCPDeployment) -> bool:
    return admit(bearer, deployment.pk) is not None


def test_every_bearer_deployment_and_session_state(world: World) -> None:
    one = make_caller(world.bob, world.engineering, "one")
    other = make_caller(world.bob, world.engineering, "other")
    second = make_managed(world.engineering, "second")
    wire(one.agent, second)
    second_bearer = make_credential(world.bob, one.agent, second)
    foreign = make_foreign(world.engineering)
    wire(one.agent, foreign)
    make_credential(world.bob, one.agent, foreign, token="a-foreign-token")
    earlier, earlier_hash = mint()
    Credential.objects.filter(pk=one.credential.pk).update(earlier_hash=earlier_hash)
    mallorys = make_caller(world.mallory, world.zeta.ous.get(), "mallorys")
    deployments = {"one": one.deployment, "other": other.deployment, "second": second.deployment}
    deployments |= {"mallorys": mallorys.deployment}
    bearers: dict[str, tuple[str, set[str]]] = {
        "current": (one.bearer, {"one"}),
        "earlier": (earlier, {"one"}),
        "second": (bearer_of(second_bearer), {"second"}),
        "minted and never kept": (mint()[0], set()),
        "a foreign server's": ("a-foreign-token", set()),
        "its hash": (hash_of_given("a-foreign-token"), set()),
        "the kept hash itself": (one.credential.bearer_hash, set()),
        "a sign-in": (sign_in_token(world.alice), set()),
        "a long-lived token": (make_token(world.alice), set()),
        "nothing": ("", set()),
        "no text of ours": ("ü", set()),
        "endless": ("x" * 100_000, set()),
    }
    for status in Status:
        AgentSession.objects.filter(agent=one.agent).update(status=status)
        for bearer_name, (bearer, opens) in bearers.items():
            for name, deployment in deployments.items():
                expected = name in opens and status in ALIVE
                assert deployment is not None
                assert is_let_in(bearer, deployment) is expected, (status, bearer_name, name)
    assert is_let_in(other.bearer, other.deployment), "another agent's session is not concerned"
    assert is_let_in(mallorys.bearer, mallorys.deployment)


def _past(row: Model, column: str) -> None:
    type(row)._default_manager.filter(pk=row.pk).update(**{column: timezone.now() - timedelta(seconds=1)})


def _becomes(status: DeploymentStatus) -> Callable[[Caller, World], None]:
    def act(caller: Caller, _world: World) -> None:
        MCPDeployment.objects.filter(pk=caller.deployment.pk).update(status=status)

    return act


def _withheld(caller: Caller, _world: World) -> None:
    WithheldServer.objects.create(agent=caller.agent, server=caller.server, since=timezone.now())


def _dismissed(caller: Caller, world: World) -> None:
    User.objects.filter(pk=world.bob.pk).update(is_active=False)
    refresh([world.bob.pk])


def _emptied(caller: Caller, _world: World) -> None:
    Credential.objects.filter(pk=caller.credential.pk).update(bearer_hash="")


SHUTS: dict[str, Callable[[Caller, World], object]] = {
    "expired": lambda caller, _: _past(caller.credential, "expires_at"),
    "voided": lambda caller, _: _past(caller.credential, "voided_at"),
    "deleted": lambda caller, _: _past(caller.credential, "archived_at"),
    "another value": _emptied,
    "agent archived": lambda caller, _: _past(caller.agent, "archived_at"),
    "server archived": lambda caller, _: _past(caller.server, "archived_at"),
    "deployment archived": lambda caller, _: _past(caller.deployment, "archived_at"),
    "session deleted": lambda caller, _: _past(caller.session, "deleted_at"),
    "detached": lambda caller, _: AgentMCPServer.objects.filter(agent=caller.agent).delete(),
    "withheld": _withheld,
    "right ended": lambda _, world: Binding.objects.filter(principal_id=world.bob.pk).update(ended_at=timezone.now()),
    "right expired": lambda _, world: Binding.objects.filter(principal_id=world.bob.pk).update(
        expires_at=timezone.now() - timedelta(seconds=1)
    ),
    "denied above": lambda _, world: bind(world.bob, "AgentOwner", world.root, decision="deny"),
    "denied by resource": lambda caller, world: bind(
        world.bob, "OUAdmin", world.engineering, decision="deny", resource_id=caller.server.pk
    ),
    "denied to its OU": lambda _, world: bind(world.engineering, "OUAdmin", world.root, decision="deny"),
    "owner dismissed": _dismissed,
    **{f"deployment {status}": _becomes(status) for status in DeploymentStatus if status != "running"},
}


def test_whatever_is_taken_away_shuts_the_door_at_the_next_request(world: World) -> None:
    caller = make_caller(world.bob, world.platform)
    for name, shut in SHUTS.items():
        assert is_let_in(caller.bearer, caller.deployment), f"before: {name}"
        with undone():
            shut(caller, world)
            assert not is_let_in(caller.bearer, caller.deployment), name


def test_what_concerns_somebody_else_leaves_the_door_open(world: World) -> None:
    caller = make_caller(world.bob, world.platform)
    other = make_managed(world.platform, "other")
    bind(world.bob, "OUAdmin", world.sales, decision="deny")
    bind(world.bob, "OUAdmin", world.platform, decision="deny", resource_id=other.pk)
    bind(world.eve, "OUAdmin", world.root, decision="deny")
    bind(world.bob, "SkillOwner", world.root, decision="deny")
    WithheldServer.objects.create(agent=caller.agent, server=other, since=timezone.now())
    Credential.objects.filter(pk=caller.credential.pk).update(expires_at=timezone.now() + timedelta(minutes=1))
    assert is_let_in(caller.bearer, caller.deployment)


def test_a_service_agent_needs_bindings_of_its_own(world: World) -> None:
    server = make_managed(world.platform)
    agent = make_agent(world.alice, world.platform, "robot", agent_kind="service")
    binding = bind(agent.id, "AgentOwner", world.platform)
    caller = caller_of(world.alice, agent, server)
    assert is_let_in(caller.bearer, caller.deployment)
    Binding.objects.filter(pk=binding.pk).update(ended_at=timezone.now())
    assert not is_let_in(caller.bearer, caller.deployment)


def test_who_came_is_told_for_the_log_with_the_session_when_there_is_one_alone(world: World) -> None:
    caller = make_caller(world.bob, world.platform)
    admitted = admit(caller.bearer, caller.deployment.pk)
    assert admitted is not None
    assert not admitted.is_probe
    assert (admitted.agent_id, admitted.credential_id) == (caller.agent.pk, caller.credential.pk)
    assert admitted.session_id == caller.session.pk
    deployment = admitted.deployment
    assert (deployment.pk, deployment.organization_id) == (caller.deployment.pk, world.acme.pk)
    assert (deployment.ou_id, deployment.template_kind, deployment.policy) == (world.platform.pk, "echo", {})
    invoked(caller.agent, world.bob)
    again = admit(caller.bearer, caller.deployment.pk)
    assert again is not None
    assert again.session_id is None


def test_a_probe_opens_its_own_deployment_unless_that_is_going(world: World) -> None:
    caller = make_caller(world.bob, world.platform)
    AgentSession.objects.all().update(status=Status.TERMINATED)
    probe, other = probe_token(caller.deployment.pk), make_managed(world.platform, "other").deployment
    assert other is not None
    for status in DeploymentStatus:
        MCPDeployment.objects.filter(pk=caller.deployment.pk).update(status=status)
        admitted = admit(probe, caller.deployment.pk)
        assert (admitted is not None) is (status not in {"destroying", "destroyed"}), status
        assert admitted is None or admitted.is_probe
        assert not is_let_in(probe, other)


def test_one_indexed_query_asks_it_all(world: World) -> None:
    caller = make_caller(world.bob, world.platform)
    assert is_let_in(caller.bearer, caller.deployment)
    with CaptureQueriesContext(connection) as queries:
        assert is_let_in(caller.bearer, caller.deployment)
    assert len(queries) == 1
    sql, params, _ = _statement(connection.vendor)
    scans = "SCAN" if connection.vendor == "sqlite" else "Seq Scan"
    prefix = "EXPLAIN QUERY PLAN " if connection.vendor == "sqlite" else "EXPLAIN "
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(prefix + sql, params)
        plan = [str(row) for row in cursor.fetchall()]
    assert not [line for line in plan if scans in line], plan
