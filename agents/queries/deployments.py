"""Reads of managed MCP deployments. Whatever a function here returns, its actor may see; the rest is absent."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Q, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from accounts import rbac
from accounts.models import Principal
from accounts.queries import ous_visible_to
from agents.actions import Action
from agents.models import Agent, CallOutcome, MCPCall, MCPDeployment, MCPTool
from agents.queries.agents import agents_visible_to
from powerloom.kernel.errors import NotFound
from powerloom.kernel.refs import Actor

RECENT = timedelta(days=1)


def deployments_visible_to(actor: Actor) -> QuerySet[MCPDeployment]:
    """Return the live deployments that the actor may read, with their OU and registration."""
    return (
        MCPDeployment.objects.filter(Q(organization_id=actor.organization_id), archived_at__isnull=True)
        .filter(rbac.permitted(actor, Action.MCP_DEPLOYMENT_READ))
        .select_related("ou", "registration")
    )


def deployment_for_read(actor: Actor, deployment_id: UUID) -> MCPDeployment:
    """Return a live deployment that the actor may read. Raises `NotFound`."""
    return _one(deployments_visible_to(actor), deployment_id)


def deployment_for_change(actor: Actor, deployment_id: UUID) -> MCPDeployment:
    """As `deployment_for_read`, locked until the end of the transaction."""
    return _one(deployments_visible_to(actor).select_for_update(of=("self",)), deployment_id)


def deployments_for_change(actor: Actor, ids: Iterable[UUID]) -> dict[UUID, MCPDeployment]:
    """As `deployment_for_change`, for many at once, by id, locked in the order of their ids; the unseen are absent."""
    rows = deployments_visible_to(actor).filter(pk__in=set(ids)).order_by("pk").select_for_update(of=("self",))
    return {deployment.id: deployment for deployment in rows}


def may_declare(actor: Actor, ou_id: UUID) -> bool:
    """Tell whether it is worth telling this actor what is wrong with a deployment for the OU. The bus decides."""
    ou = ous_visible_to(actor).filter(pk=ou_id).first()
    return ou is not None and rbac.may(actor, Action.MCP_DEPLOYMENT_CREATE, ou.path).allowed


def may_change(actor: Actor, deployment: MCPDeployment) -> bool:
    """As `may_declare`, for a change of this deployment."""
    return rbac.may(actor, Action.MCP_DEPLOYMENT_UPDATE, deployment.ou.path, deployment.id).allowed


def calls_of(deployment: MCPDeployment) -> QuerySet[MCPCall]:
    """Return every call that the fleet answered for a deployment which the caller already holds."""
    return MCPCall.objects.filter(deployment=deployment)


def denials_in(session_id: UUID) -> QuerySet[MCPCall]:
    """Return the calls of a session, which the caller already holds, that a policy denied, in order."""
    return MCPCall.objects.filter(session_id=session_id, outcome=CallOutcome.DENIED).order_by("id")


def call_counts(deployment: MCPDeployment) -> dict[str, int]:
    """Return how many calls of the last day had which outcome; one query."""
    recent = calls_of(deployment).filter(created_at__gte=timezone.now() - RECENT)
    counted = recent.aggregate(**{word: Count("pk", filter=Q(outcome=word)) for word in CallOutcome})
    return {word.value: counted[word] for word in CallOutcome}


def tools_of(deployment: MCPDeployment) -> list[MCPTool]:
    """Return the tools that the deployment's registration was seen with; one query."""
    seen = MCPTool.objects.filter(server__deployment=deployment).exclude(sha256="")
    return list(seen.order_by("name"))


def visible_agent_ids(actor: Actor, ids: Iterable[UUID | None]) -> set[UUID]:
    """Return those of the agents that the actor may read; one query."""
    asked = {one for one in ids if one is not None}
    return set(agents_visible_to(actor).filter(pk__in=asked).values_list("pk", flat=True)) if asked else set()


def visible_session_ids(actor: Actor, ids: Iterable[UUID | None]) -> set[UUID]:
    """Return those of the sessions that the actor may read; one query."""
    asked = {one for one in ids if one is not None}
    rows = import_string(settings.VISIBLE_SESSIONS)(actor)
    return set(rows.filter(pk__in=asked).order_by().values_list("pk", flat=True)) if asked else set()


def visible_agents(actor: Actor, ids: Iterable[UUID | None]) -> dict[UUID | None, Agent]:
    """Return those of the agents that the actor may read, by id; one query."""
    asked = {one for one in ids if one is not None}
    return dict(agents_visible_to(actor).in_bulk(asked).items()) if asked else {}


def named_principals(actor: Actor, ids: Iterable[UUID | None]) -> dict[UUID | None, str]:
    """Return how these principals of the actor's organization are written, by id; one query."""
    asked = {one for one in ids if one is not None}
    rows = Principal.objects.filter(Q(organization_id=actor.organization_id), pk__in=asked)
    return dict(rows.values_list("pk", "ref")) if asked else {}


def _one(rows: QuerySet[MCPDeployment], deployment_id: UUID) -> MCPDeployment:
    found = rows.filter(pk=deployment_id).first()
    if found is None:
        raise NotFound
    return found
