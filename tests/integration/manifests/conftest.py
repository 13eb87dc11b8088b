from tests.world import committed_world, world

__all__ = ["committed_world", "world"]
