"""A deployment as its backend sees it: config and policy with their defaults, and the secrets that the config names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any  # config and policy types differ by template
from uuid import UUID

from pydantic import ValidationError

from accounts import queries, sealing
from accounts.egress import way_of
from accounts.models import Secret
from agents.backends.base import Served, Unfit
from agents.mcp.catalog import TEMPLATES
from agents.mcp.template import SecretReference
from agents.models import MCPDeployment
from powerloom.kernel import envelope


def served(deployment: MCPDeployment) -> Served[Any, Any]:
    """Return what a backend needs to work for the deployment; at most two queries. Raises `Unfit`."""
    template = TEMPLATES.get(deployment.template_kind)
    if template is None:
        raise Unfit("template", f"The template {deployment.template_kind} is not available here.")
    try:
        config = template.read_config(deployment.config)
        policy = template.read_policy(deployment.policy)
    except ValidationError as error:
        raise Unfit("config", f"Config or policy is not valid any more: {_told(error)}.") from None
    return Served(
        deployment_id=deployment.pk,
        organization_id=deployment.organization_id,
        ou_id=deployment.ou_id,
        config=config,
        policy=policy,
        secrets=resolved(deployment.ou_id, template.secrets(config)),
        way=way_of(deployment.organization_id),
    )


def resolved(ou_id: UUID, references: Sequence[SecretReference]) -> dict[str, str]:
    """Return the values of the referenced secrets by the config's field, each found in this OU or above, the nearest
    first; one query for any number. Raises `Unfit` without saying anything of a value.
    """
    if not references:
        return {}
    nearest = queries.secrets_reaching(ou_id, [reference.name for reference in references])
    return {reference.field: _value(reference, nearest.get(reference.name)) for reference in references}


def _value(reference: SecretReference, secret: Secret | None) -> str:
    if secret is None:
        raise Unfit("secrets", f"There is no secret {reference.name} in this OU or above. Create it, or name another.")
    if secret.kind != reference.kind:
        words = f"The secret {reference.name} is of kind {secret.kind}, and {reference.field} needs {reference.kind}."
        raise Unfit("secrets", words)
    assert secret.sealed is not None, "a live secret has its value"
    try:
        return sealing.unseal(secret.sealed)
    except (envelope.Unreadable, envelope.KeyMissing):
        words = f"The secret {reference.name} cannot be opened with the master keys that are here. Rotate it."
        raise Unfit("secrets", words) from None


def _told(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg']}" for one in error.errors()[:5])
