from tests.running import running, runtime
from tests.world import committed_world

__all__ = ["committed_world", "running", "runtime"]
