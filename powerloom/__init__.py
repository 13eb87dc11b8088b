"""Powerloom: the governance control plane for Claude Managed Agents."""

import gc

# Almost all that a request or a task leaves is freed when its last reference goes. To look for cycles each 700 objects,
# as Python does, takes a tenth of each start and a twelfth of the work.
gc.set_threshold(50_000)

__version__ = "0.1.0"
