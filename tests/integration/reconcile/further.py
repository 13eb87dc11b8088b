"""Two kinds more, each as one driver, as a later part of the product would bring them; and one that CMA
misunderstands.
"""

from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from powerloom.cma.types import JSON
from powerloom.reconcile.driver import DocumentDriver, Job, Wanted, own_metadata
from powerloom.reconcile.models import SyncState


class VaultDriver(DocumentDriver):
    """A vault for every row there is."""

    kind: ClassVar[str] = "chest"
    resource: ClassVar[str] = "vaults"

    def load(self, states: Sequence[SyncState]) -> dict[UUID, Wanted]:
        return {
            state.object_id: Wanted(state.object_id, "vault", {"display_name": "Vault", "metadata": {}})
            for state in states
        }

    def body(self, job: Job) -> JSON:
        return {"display_name": (job.wanted.document or {})["display_name"]}

    def project(self, answer: JSON, job: Job) -> JSON:
        return {"display_name": answer["display_name"], "metadata": own_metadata(answer, job)}


class OddDriver(VaultDriver):
    """What comes back is never what was sent."""

    def project(self, answer: JSON, job: Job) -> JSON:
        return {**super().project(answer, job), "display_name": "Something else"}


class BrokenDriver(VaultDriver):
    """A defect of ours."""

    def body(self, job: Job) -> JSON:
        raise KeyError("secret-token-in-a-message")


class BrokenSafeDriver(BrokenDriver):
    """The same defect, with a secret in hand."""

    holds_secrets: ClassVar[bool] = True
