"""Claude Managed Agents (CMA): the client that the reconciler and the relay use, and `cma.local`, a compatible server.

Nothing here imports Django, nor any of our apps.
"""

from powerloom.cma.client import CMA
from powerloom.cma.errors import AccountProblem, CMAError, Conflict, Missing, NameTaken, Rejected, Unavailable
from powerloom.cma.types import JSON, Page

__all__ = [
    "CMA",
    "JSON",
    "AccountProblem",
    "CMAError",
    "Conflict",
    "Missing",
    "NameTaken",
    "Page",
    "Rejected",
    "Unavailable",
]
