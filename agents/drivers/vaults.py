"""One vault for each agent that has a credential. Its object is the agent; sessions of the agent are given it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from django.db.models import Exists, OuterRef

from agents import convergence
from agents.kinds import SyncKind
from agents.models import Agent, Credential
from powerloom.cma.types import JSON
from powerloom.reconcile.driver import DocumentDriver, Job, Wanted, own_metadata
from powerloom.reconcile.models import SyncState
from powerloom.reconcile.result import Done, Odd


class VaultDriver(DocumentDriver):
    """A vault as such: that it is there. What is in it are the credentials; archiving it purges them all."""

    kind: ClassVar[str] = SyncKind.VAULT
    resource: ClassVar[str] = "vaults"

    def load(self, states: Sequence[SyncState]) -> dict[UUID, Wanted]:
        live = Credential.objects.filter(agent=OuterRef("pk"), archived_at__isnull=True)
        agents = Agent.objects.filter(pk__in=[state.object_id for state in states]).annotate(holds=Exists(live))
        return {agent.pk: wanted(agent, holds_credentials=agent.holds) for agent in agents}

    def recorded(self, records: Sequence[tuple[Job, Done | Odd]]) -> None:
        """Credentials that were refused by the vault before this one are tried again in it."""
        anew = [job.wanted.id for job, result in records if result.remote and result.remote.id != job.state.remote_id]
        if anew:
            convergence.vaults_made(anew)

    def dependents(self, ids: Sequence[UUID]) -> dict[str, list[UUID]]:
        held = Credential.objects.filter(agent__in=ids, archived_at__isnull=True)
        return {SyncKind.CREDENTIAL: list(held.values_list("pk", flat=True))}

    def body(self, job: Job) -> JSON:
        return {"display_name": (job.wanted.document or {})["name"]}

    def project(self, answer: JSON, job: Job) -> JSON:
        return {"name": answer["display_name"], "metadata": own_metadata(answer, job)}


def wanted(agent: Agent, *, holds_credentials: bool) -> Wanted:
    """Return what an agent's vault should be. Pure."""
    is_wanted = holds_credentials and agent.archived_at is None
    document: JSON = {"name": f"powerloom {agent.name}", "metadata": {}}
    return Wanted(agent.pk, f"the vault of {agent.name}", document if is_wanted else None)
