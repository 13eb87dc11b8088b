from agents.models import Agent
from tests.recorded import live_agent
from tests.standing import standing
from tests.world import World, committed_world, world

__all__ = ["committed_world", "world"]


@standing
def agent(world: World) -> Agent:
    return live_agent(world)
