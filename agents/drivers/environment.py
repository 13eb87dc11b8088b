"""The organization's shared cloud environment. It has no table: its object is the organization, its networking a
setting.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from django.conf import settings

from accounts.models import Organization
from agents.kinds import SyncKind
from powerloom.cma.types import JSON
from powerloom.reconcile.driver import ENVIRONMENTS, DocumentDriver, Job, Wanted, own_metadata
from powerloom.reconcile.models import SyncState

MANAGERS = ("apt", "cargo", "gem", "go", "npm", "pip")


class EnvironmentDriver(DocumentDriver):
    """Everything that CMA would fill in by itself is sent, so that its answer is what was sent."""

    kind: ClassVar[str] = SyncKind.ENVIRONMENT
    resource: ClassVar[str] = "environments"
    creates: ClassVar[str] = ENVIRONMENTS
    others: ClassVar[str] = ENVIRONMENTS

    def load(self, states: Sequence[SyncState]) -> dict[UUID, Wanted]:
        organizations = Organization.objects.filter(pk__in=[state.object_id for state in states])
        return {organization.pk: wanted(organization) for organization in organizations}

    def body(self, job: Job) -> JSON:
        document = job.wanted.document or {}
        return {name: document[name] for name in ("name", "description", "config")}

    def project(self, answer: JSON, job: Job) -> JSON:
        return {
            "name": answer["name"],
            "description": answer["description"],
            "config": _config(answer["config"]),
            "metadata": own_metadata(answer, job),
        }


def wanted(organization: Organization) -> Wanted:
    """Return what an organization's environment should be. Pure."""
    config = {"type": "cloud", "networking": networking(settings.ENVIRONMENT_NETWORKING), "packages": {}}
    document = {
        "name": f"powerloom {organization.name}",
        "description": f"Shared by the agents of {organization.name}",
        "config": _config(config),
        "metadata": {},
    }
    return Wanted(organization.pk, f"environment of {organization.name}", document)


def networking(setting: JSON) -> JSON:
    """Return the setting with all its fields, closed where it says nothing."""
    if setting["type"] == "unrestricted":
        return {"type": "unrestricted"}
    return {
        "type": "limited",
        "allowed_hosts": list(setting.get("allowed_hosts", [])),
        "allow_mcp_servers": bool(setting.get("allow_mcp_servers")),
        "allow_package_managers": bool(setting.get("allow_package_managers")),
    }


def _config(config: JSON) -> JSON:
    if config["type"] != "cloud":
        return config
    packages = {manager: list(config["packages"].get(manager) or []) for manager in MANAGERS}
    return {"type": "cloud", "networking": networking(config["networking"]), "packages": packages}
