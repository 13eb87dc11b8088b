"""As `accounts/test_together.py`, of what agents have and of what else lies in a manifest: each command of a set meets
what it would have met alone, after the ones before it that passed.
"""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from accounts.models import Binding
from agents.commands import (
    AttachServer,
    AttachSkill,
    CreateCredential,
    CreateDeployment,
    DeleteCredential,
    DeploymentChanges,
    DestroyDeployment,
    DetachServer,
    DetachSkill,
    GrantSkill,
    RevokeSkillGrant,
    UpdateDeployment,
)
from agents.minting import sealed_bearer
from agents.models import Agent, AgentMCPServer, AgentSkill, Credential, MCPDeployment, MCPServer, Skill
from agents.queries import spec_of
from agents.spec import AttachedServer, AttachedSkill
from approvals.commands import ArchivePolicy, CreatePolicy, UpdatePolicy
from approvals.commands.policies import PolicyChanges
from approvals.models import ApprovalPolicy
from powerloom.commands.registry import Command
from powerloom.kernel.errors import Denied, Invalid, NotFound
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from tests.conftest import fewer
from tests.connected import attach_server, make_server
from tests.database import undone
from tests.declared import attach, done, make_agent, make_skill, make_version
from tests.held import builtin, make_policy
from tests.meta import make_meta_server
from tests.together import run
from tests.world import World, actor_of

KINDS = (
    "attach",
    "detach",
    "connect",
    "disconnect",
    "grant",
    "revoke",
    "credential",
    "uncredential",
    "gate",
    "regate",
    "ungate",
    "deploy",
    "redeploy",
    "destroy",
)
PATTERNS = ("agent:create", "agents:*")
SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"permission": "always_ask"},
    {"permission": "always_ask", "four_eyes": True},
)

number = st.integers(0, 30)
asked = st.one_of(
    [st.lists(st.tuples(st.just(kind), number, number, number), min_size=2, max_size=6) for kind in KINDS]
)


def tool(world: World, name: str, called: object) -> Skill:
    schema = {"name": called, "description": "Does it.", "input_schema": {"type": "object", "properties": {}}}
    return make_skill(world.bob, world.engineering, name, skill_type="tool_definition", tool_schema=schema)


class Place:
    """Two agents, some things that they may have or not, and commands about them by numbers."""

    def __init__(self, world: World) -> None:
        self.world = world
        ou, bob = world.engineering, world.bob
        self.agents = [make_agent(bob, ou), make_agent(world.alice, ou, "other")]
        self.skills = [make_skill(bob, ou), tool(world, "good", "look_up"), tool(world, "again", "look_up")]
        self.versions = [None, make_version(bob, self.skills[0]).id]
        self.servers = [make_server(ou), make_server(world.sales, "far"), make_meta_server(ou)]
        self.ous = [ou, world.platform, world.sales]
        attach(bob, self.agents[0], self.skills[0])
        attach_server(bob, self.agents[0], self.servers[0])
        attach_server(world.alice, self.agents[1], self.servers[2])
        self.grants = [done(self.command(("grant", 0, place, 0)), bob) for place in range(2)]
        self.policies = [make_policy(world.alice, ou, name=f"gate-{place}", is_on=False) for place in range(2)]
        self.deployed = [done(self.command(("deploy", 3, place, 0)), bob) for place in range(2)]

    def command(self, said: Any) -> Command:
        kind, first, second, third = said
        made: Command = getattr(self, f"_{kind}")(first, second, third)
        return made

    def _attach(self, agent: int, skill: int, pin: int) -> Command:
        said = AttachedSkill(skill_id=one(self.skills, skill).id, skill_version_id=one(self.versions, pin))
        return AttachSkill(agent_id=one(self.agents, agent).id, skill=said)

    def _detach(self, agent: int, skill: int, _: int) -> Command:
        return DetachSkill(agent_id=one(self.agents, agent).id, skill=one(self.skills, skill).id)

    def _connect(self, agent: int, server: int, setting: int) -> Command:
        said = AttachedServer(mcp_server_registration_id=one(self.servers, server).id, **one(SETTINGS, setting))
        return AttachServer(agent_id=one(self.agents, agent).id, server=said)

    def _disconnect(self, agent: int, server: int, _: int) -> Command:
        return DetachServer(agent_id=one(self.agents, agent).id, server_id=one(self.servers, server).id)

    def _grant(self, skill: int, to: int, _: int) -> Command:
        principal = one([self.world.eve, self.world.vera, self.world.bob], to)
        return GrantSkill(id=new_id(), skill_id=one(self.skills, skill).id, principal_id=principal.id)

    def _revoke(self, grant: int, _: int, __: int) -> Command:
        return RevokeSkillGrant(skill_id=self.skills[0].id, grant_id=one(self.grants, grant).id)

    def _credential(self, agent: int, server: int, _: int) -> Command:
        sealed_id, bearer_hash = sealed_bearer(self.world.acme.id)
        ids = {"agent_id": one(self.agents, agent).id, "server_id": one(self.servers, server).id}
        return CreateCredential(id=new_id(), sealed_id=sealed_id, bearer_hash=bearer_hash, **ids)

    def _uncredential(self, which: int, _: int, __: int) -> Command:
        return DeleteCredential(credential_id=one(list(Credential.objects.order_by("pk")), which).id)

    def _gate(self, name: int, scope: int, pattern: int) -> Command:
        return CreatePolicy(
            id=new_id(),
            name=f"gate-{name % 4}",
            scope_ou_id=one(self.ous, scope).id,
            action_pattern=one(PATTERNS, pattern),
            approver_role_id=builtin("Approver"),
        )

    def _regate(self, which: int, pattern: int, quorum: int) -> Command:
        changes = PolicyChanges(action_pattern=one(PATTERNS, pattern), quorum=1 + quorum % 3, is_on=True)
        return UpdatePolicy(policy_id=one(self.policies, which).id, changes=changes)

    def _ungate(self, which: int, _: int, __: int) -> Command:
        return ArchivePolicy(policy_id=one(self.policies, which).id)

    def _deploy(self, name: int, ou: int, kind: int) -> Command:
        said = {"name": f"d{name % 4}", "display_name": "D", "template_kind": one(("echo", "files"), kind)}
        return CreateDeployment(id=new_id(), ou_id=one(self.ous, ou).id, **said)

    def _redeploy(self, which: int, policy: int, _: int) -> Command:
        changes = DeploymentChanges(policy_json=one(({"denied_tools": ["fail"]}, {"nonsense": 1}), policy))
        return UpdateDeployment(deployment_id=one(self.deployed, which).id, changes=changes)

    def _destroy(self, which: int, _: int, __: int) -> Command:
        return DestroyDeployment(deployment_id=one(self.deployed, which).id)


def one(things: Sequence[Any], place: int) -> Any:
    return things[place % len(things)]


def live(model: Any) -> Any:
    return model.objects.filter(archived_at__isnull=True)


def outcome(commands: Sequence[Command], actor: Actor, *, together: bool) -> Any:
    """Run a set without what is refused; return who was refused how, what changed, and what there is then."""
    with undone():
        return (
            *run(commands, actor, together=together),
            {agent.id: (agent.version, spec_of(agent)) for agent in Agent.objects.all()},
            set(AgentSkill.objects.values_list("agent_id", "skill_id", "skill_version_id")),
            set(AgentMCPServer.objects.values_list("agent_id", "server_id", "permission", "four_eyes")),
            set(Binding.objects.filter(ended_at__isnull=True).values_list("principal_id", "resource_id")),
            set(live(Credential).values_list("id", "agent_id", "server_id")),
            set(live(ApprovalPolicy).values_list("id", "action_pattern", "quorum", "is_on")),
            [(row.name, row.status, row.policy) for row in MCPDeployment.objects.order_by("pk")],
            set(live(MCPServer).values_list("name", "state")),
        )


def test_each_of_a_set_meets_what_it_would_have_met_alone(world: World) -> None:
    place = Place(world)

    @settings(max_examples=fewer(20), phases=[Phase.generate])  # to shrink a set takes minutes
    @given(said=asked, by=number)
    def meets(said: list[Any], by: int) -> None:
        commands = [place.command(one) for one in said]
        actor = actor_of(one([world.alice, world.bob], by))
        found, alone = (outcome(commands, actor, together=together) for together in (True, False))
        assume(not {place for place, (error, _) in alone[0].items() if error is NotFound} - found[0].keys())
        assert found == alone

    meets()


@pytest.mark.once
def test_what_is_refused_spoils_nothing_after_it(world: World) -> None:
    """A skill that cannot be a tool, the twenty-first one, Powerloom for who may not delegate."""
    agent, bob = make_agent(world.bob, world.engineering), actor_of(world.bob)

    def refused(*commands: Command) -> dict[int, Any]:
        (found, *_), alone = (outcome(commands, bob, together=together) for together in (True, False))
        assert found == alone[0]
        return {place: error for place, (error, _) in found.items()}

    def skill(which: Skill, **pin: Any) -> Command:
        return AttachSkill(agent_id=agent.id, skill=AttachedSkill(skill_id=which.id, **pin))

    bad, good = tool(world, "bad", "no such name!"), tool(world, "good", "look_up")
    plain = make_skill(world.bob, world.engineering)
    version = make_version(world.bob, plain)
    assert refused(skill(bad), skill(good), skill(bad), skill(plain)) == {0: Invalid, 2: Invalid}
    attach(world.bob, agent, plain)
    rest = [make_skill(world.bob, world.engineering, f"s{number}") for number in range(20)]
    many = [*map(skill, rest), skill(plain, skill_version_id=version.id)]
    assert refused(*many) == {19: Invalid}

    servers = [make_meta_server(world.engineering), make_server(world.engineering)]
    connect = [
        AttachServer(agent_id=agent.id, server=AttachedServer(mcp_server_registration_id=server.id))
        for server in servers
    ]
    assert refused(*connect) == {0: Denied}
