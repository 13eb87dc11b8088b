"""The hold step: the same write with a thousand policies, of which three match its action and scope, and with none."""

from accounts.models import Role, User
from agents.commands import UpdateAgent
from agents.models import Agent
from agents.spec import AgentChanges
from approvals.models import ApprovalPolicy
from powerloom.commands.bus import submit
from powerloom.commands.registry import Done
from powerloom.kernel.ids import new_id
from tests.bench.measure import Ratio, measured, typical
from tests.declared import make_agent
from tests.world import World, actor_of, make_world

POLICIES, MATCHING = 1000, 3
TIMES = 60


@measured
def hold() -> list[Ratio]:
    world = make_world()
    agent = make_agent(world.alice, world.engineering)
    free = typical(lambda: change(agent, world.alice), TIMES)
    ApprovalPolicy.objects.bulk_create(policies(world))
    watched = typical(lambda: change(agent, world.alice), TIMES)
    told = f"{watched * 1000:.2f} ms to {free * 1000:.2f} ms"
    return [Ratio(f"a write under {POLICIES} policies, to the same under none", watched / free, at_most=1.5, told=told)]


def change(agent: Agent, by: User) -> None:
    changes = AgentChanges(description=str(new_id()))
    assert isinstance(submit(UpdateAgent(agent_id=agent.id, changes=changes), actor=actor_of(by)), Done)


def policies(world: World) -> list[ApprovalPolicy]:
    """Those that match action and scope look at the change and let it pass; the others are about other things."""
    approver = Role.objects.get(organization=None, name="Approver")
    patterns = ["agent:update"] * MATCHING + ["agent:create", "skill:activate", "secret:*", "agent:update"] * POLICIES
    rows = []
    for number, pattern in enumerate(patterns[:POLICIES]):
        scope = world.engineering if number < MATCHING or pattern != "agent:update" else world.sales
        rows.append(
            ApprovalPolicy(
                organization=world.acme,
                name=f"policy-{number}",
                scope_ou=scope,
                scope_path=scope.path,
                action_pattern=pattern,
                condition='resource.description == "never"',
                approver_role=approver,
            )
        )
    return rows
