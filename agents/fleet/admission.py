"""Who is let in: asked of the database at every request, without a cache, so that what is revoked is over at once.

A bearer opens one deployment while all of this holds:

    the credential is live: current or earlier value, not expired, not voided, not deleted
    the deployment runs, and its registration is live
    the agent is live, the server attached to it and not withheld
    the principal for which the agent acts may use the server
    a session of the agent has not ended

Somebody who tries a tool by hand comes with a token of ours for the one deployment, and is let in while the deployment
runs and he may use the server. One query asks it all. Whatever is missing, the answer is the same nothing.

Powerloom itself is also opened by the bearer of one session's own vault, while a turn of that session is under way;
there the agent's own credential opens the listing alone (`agents.fleet.calls`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any  # a row as the database answers it
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Subquery, UUIDField, Value, When
from django.db.models.functions import Now
from django.utils.module_loading import import_string

from accounts import rbac, session_bearers
from agents.actions import Action
from agents.bearers import hash_of
from agents.fleet.probing import is_probe, tried_by
from agents.mcp.powerloom_meta import KIND
from agents.models import (
    AgentKind,
    AgentMCPServer,
    Credential,
    DeploymentStatus,
    MCPDeployment,
    MCPServer,
    WithheldServer,
)

LONGEST = 512  # characters of a bearer; ours are shorter
COLUMNS = (
    "pk",
    "agent_id",
    "organization_id",
    "server__deployment__ou_id",
    "session",
    "another_session",
    "server__deployment__template_kind",
    "server__deployment__config",
    "server__deployment__policy",
)
ACTING = Case(When(agent__agent_kind=AgentKind.USER, then=F("agent__owner_principal_id")), default=F("agent_id"))
GOING = (DeploymentStatus.DESTROYING, DeploymentStatus.DESTROYED)


@dataclass(frozen=True)
class Admitted:
    """Who was let in to which deployment. A probe of our own is nobody's agent. `session_id` is the agent's only live
    session, None when it has several; `tried_by_id` is the principal that tries a tool by hand. `bearer` is that of a
    session which acts for its user, empty for all others.
    """

    deployment: MCPDeployment
    agent_id: UUID | None = None
    credential_id: UUID | None = None
    session_id: UUID | None = None
    tried_by_id: UUID | None = None
    bearer: str = field(default="", repr=False)

    @property
    def is_probe(self) -> bool:
        return self.agent_id is None and self.tried_by_id is None


def admit(bearer: str, deployment_id: UUID) -> Admitted | None:
    """Return whom the bearer lets in to the deployment now, or None; one query, or three for a session's."""
    if not bearer or len(bearer) > LONGEST or not bearer.isascii():
        return None
    if is_probe(bearer, deployment_id):
        deployment = MCPDeployment.objects.filter(pk=deployment_id).exclude(status__in=GOING).first()
        return Admitted(deployment) if deployment else None
    if bearer.startswith(session_bearers.PREFIX):
        return _session(bearer, deployment_id)
    if principal_id := tried_by(bearer, deployment_id):
        return _trying(deployment_id, principal_id)
    found = _asked(hash_of(bearer), deployment_id)
    return _admitted(deployment_id, *found) if found else None


def _session(bearer: str, deployment_id: UUID) -> Admitted | None:
    delegation = session_bearers.delegation_of(bearer)
    if delegation is None or not import_string(settings.SESSION_IN_TURN)(delegation.session_id):
        return None
    attached = _attached(delegation.agent_id, deployment_id).select_related("server__deployment").first()
    if attached is None or attached.server.deployment is None:
        return None
    return Admitted(attached.server.deployment, delegation.agent_id, session_id=delegation.session_id, bearer=bearer)


def _attached(agent_id: UUID, deployment_id: UUID) -> QuerySet[AgentMCPServer]:
    this = {"agent_id": OuterRef("agent_id"), "server_id": OuterRef("server_id")}
    rows = AgentMCPServer.objects.filter(
        agent_id=agent_id,
        agent__archived_at__isnull=True,
        server__archived_at__isnull=True,
        server__deployment_id=deployment_id,
        server__deployment__template_kind=KIND,
        server__deployment__status=DeploymentStatus.RUNNING,
        server__deployment__archived_at__isnull=True,
    )
    return rows.annotate(acting=ACTING).filter(
        ~Exists(WithheldServer.objects.filter(**this)),
        rbac.permitted_to("acting", Action.MCP_SERVER_USE, ou_field="server__ou_id", resource_field="server_id"),
    )


def _trying(deployment_id: UUID, principal_id: UUID) -> Admitted | None:
    """Let somebody in who tries a tool by hand, while he may use the server and it runs; one query."""
    rows = MCPServer.objects.annotate(acting=Value(principal_id, output_field=UUIDField())).filter(
        rbac.permitted_to("acting", Action.MCP_SERVER_USE, ou_field="ou_id", resource_field="pk"),
        deployment_id=deployment_id,
        deployment__status=DeploymentStatus.RUNNING,
        deployment__archived_at__isnull=True,
        archived_at__isnull=True,
    )
    server = rows.select_related("deployment").first()
    return Admitted(server.deployment, tried_by_id=principal_id) if server and server.deployment else None


def _asked(bearer_hash: str, deployment_id: UUID) -> tuple[Any, ...] | None:
    sql, params, blanks = _statement(connection.vendor)
    filled = dict(zip(blanks, _as_stored(bearer_hash, deployment_id), strict=True))
    with connection.cursor() as cursor:
        cursor.execute(sql, [filled.get(param, param) for param in params])
        found: tuple[Any, ...] | None = cursor.fetchone()
    return found


@cache
def _statement(_vendor: str) -> tuple[str, tuple[Any, ...], tuple[Any, Any]]:
    """Return the query as SQL with its parameters, and those among them that stand for hash and deployment: Django
    takes some milliseconds to write it down, the database a tenth of one to answer.
    """
    blanks = ("hash of the bearer", UUID(int=0))
    sql, params = _open(*blanks).values_list(*COLUMNS).query.sql_with_params()
    return sql, tuple(params), _as_stored(*blanks)


def _as_stored(bearer_hash: str, deployment_id: UUID) -> tuple[Any, Any]:
    return bearer_hash, MCPDeployment._meta.pk.get_db_prep_value(deployment_id, connection)


def _admitted(deployment_id: UUID, *found: Any) -> Admitted:
    # As the database answers: ids are text where it has no type for them, JSON always is.
    *ids, another, kind, config, policy = found
    credential_id, agent_id, organization_id, ou_id, session_id = (UUID(str(one)) for one in ids)
    deployment = MCPDeployment(
        id=deployment_id,
        organization_id=organization_id,
        ou_id=ou_id,
        template_kind=kind,
        config=json.loads(config),
        policy=json.loads(policy),
    )
    return Admitted(deployment, agent_id, credential_id, None if another else session_id)


def _open(bearer_hash: str, deployment_id: UUID) -> QuerySet[Credential]:
    this = {"agent_id": OuterRef("agent_id"), "server_id": OuterRef("server_id")}
    sessions = import_string(settings.LIVE_SESSION)(OuterRef("agent_id")).values("pk")
    return (
        Credential.objects.filter(
            Q(bearer_hash=bearer_hash) | Q(earlier_hash=bearer_hash),
            Q(expires_at__isnull=True) | Q(expires_at__gt=Now()),
            voided_at__isnull=True,
            archived_at__isnull=True,
            agent__archived_at__isnull=True,
            server__archived_at__isnull=True,
            server__deployment_id=deployment_id,
            server__deployment__status=DeploymentStatus.RUNNING,
            server__deployment__archived_at__isnull=True,
        )
        .annotate(acting=ACTING, session=Subquery(sessions[:1]), another_session=Subquery(sessions[1:2]))
        .filter(
            Exists(AgentMCPServer.objects.filter(**this)),
            ~Exists(WithheldServer.objects.filter(**this)),
            rbac.permitted_to("acting", Action.MCP_SERVER_USE, ou_field="server__ou_id", resource_field="server_id"),
            session__isnull=False,
        )
    )
