"""Console views of credentials: who has one for what and where it stands. Values go in; one kind is shown, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any  # template context
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import rbac, sealing
from accounts.granters import who_may
from accounts.places import reason_against_new
from accounts.queries import secret_for
from accounts.reasons import Reason, reasons_against
from accounts.views.secrets import key_tabs
from agents import connections, queries
from agents.actions import ON_CREDENTIAL, Action
from agents.commands import (
    CreateCredential,
    DeleteCredential,
    ResetCredentialSync,
    RevealCredential,
    RotateCredential,
)
from agents.connections import Connection
from agents.forms.credentials import NewCredentialForm, ValueForm
from agents.kinds import SyncKind
from agents.minting import new_value
from agents.models import Credential, CredentialSource
from agents.queries.credentials import credential_for_read
from agents.queries.deployments import deployments_visible_to
from agents.queries.lists import credentials_matching, sync_states
from agents.queries.reach import agents_calling, deployments_naming
from agents.views.origins import credential_origin
from agents.views.reaching import agents_reached
from powerloom.kernel.ids import new_id
from powerloom.web.answers import actor_of
from powerloom.web.deeds import Deed, answer, sent
from powerloom.web.filters import Filters
from powerloom.web.forms import TypedName
from powerloom.web.lines import applying, place_of
from powerloom.web.lists import page_of
from powerloom.web.pages import fragment, go, page, signed_in
from powerloom.web.submitting import performed

ROWS = 50
MOST_OFFERED = 500


@dataclass(frozen=True)
class Line:
    """One credential in the list, and where it stands."""

    credential: Credential
    stands: Connection


@signed_in
@require_GET
def credential_list(request: HttpRequest) -> HttpResponse:
    """The credentials that one may know of, newest first."""
    actor = actor_of(request)
    chosen = Filters(request, q="Agent or server", agent="Agent", server="MCP server", ou="OU")
    rows = credentials_matching(
        actor, text=chosen["q"], under=chosen["ou"], agent=chosen["agent"], server=chosen["server"]
    )
    found = page_of(request, rows, size=ROWS)
    return page(
        request,
        "agents/credentials/list.html",
        "agents/credentials/_list.html",
        page=found,
        lines=_lines(found.rows),
        chosen=chosen,
        chips=chosen.chips(),
        kept=chosen.kept(by_form=frozenset({"q"})),
        bare=request.path,
        new_refusal=reason_against_new(request, Action.CREDENTIAL_CREATE),
        tabs=key_tabs("agents:credentials"),
        line=applying(
            "Credential",
            {
                "agent_path": f"{place_of(request)}/code-reviewer",
                "mcp_registration_path": f"{place_of(request)}/docs",
            },
        ),
    )


@signed_in
@require_GET
def credential_detail(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """One credential: whose it is, where it stands, who can use it, what may be done."""
    actor = actor_of(request)
    credential = credential_for_read(actor, credential_id)
    against: dict[str, Reason] = reasons_against(actor, credential.target(), ON_CREDENTIAL)
    refusals = {action.partition(":")[2]: reason for action, reason in against.items()}
    refusals["reveal"] = refusals["reveal"] or _cannot_be_shown(credential)
    place, organization = credential.agent.ou.path, credential.organization_id
    return page(
        request,
        "agents/credentials/credential.html",
        "agents/credentials/_credential.html",
        credential=credential,
        stands=connections.of(credential.agent_id, [credential.server_id])[credential.server_id],
        state=sync_states(SyncKind.CREDENTIAL, [credential.id]).get(credential.id),
        refusals=refusals,
        reach=agents_reached(actor, queries.agents_among([credential.agent_id]), "Agents that use it"),
        who=[
            ("Rotate it", who_may(Action.CREDENTIAL_ROTATE, place, organization)),
            ("Revoke it", who_may(Action.CREDENTIAL_DELETE, place, organization)),
            ("Invoke its agent", who_may(Action.AGENT_INVOKE, place, organization)),
        ],
    )


@signed_in
@require_http_methods(["GET", "POST"])
def credential_create(request: HttpRequest) -> HttpResponse:
    """Give an agent a credential for a server."""
    actor = actor_of(request)
    agents = queries.agents_visible_to(actor).filter(rbac.permitted(actor, Action.CREDENTIAL_CREATE))
    servers = queries.servers_visible_to(actor).filter(rbac.permitted(actor, Action.MCP_SERVER_USE))
    form = NewCredentialForm(
        sent(request),
        agents=agents.order_by("display_name")[:MOST_OFFERED],
        servers=servers.order_by("display_name")[:MOST_OFFERED],
        initial={"agent": request.GET.get("agent"), "server": request.GET.get("server")},
    )
    deed = Deed(
        form=form,
        url=request.get_full_path(),
        heading="New credential",
        lead="What an agent shows to an MCP server. It goes into the agent's vault and is never shown.",
        button="Give it",
        back=reverse("agents:credentials"),
        obstacle=reason_against_new(request, Action.CREDENTIAL_CREATE),
    )

    def commands() -> Sequence[CreateCredential]:
        said = form.cleaned_data
        value = _value(request, form)
        return [CreateCredential(id=new_id(), agent_id=said["agent"], server_id=said["server"], **value)]

    return answer(
        request,
        deed,
        commands,
        then=lambda done: credential_origin(done.row).back(request, "It goes into the vault now."),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def credential_rotate(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Replace a credential's value, without an outage."""
    actor = actor_of(request)
    credential = credential_for_read(actor, credential_id)
    form = ValueForm(sent(request))
    deed = credential_origin(credential).deed(request, form, heading=f"Rotate {_name(credential)}", button="Rotate")
    deed.lead = "The value before stays good until the vault has the new one, so nothing stops meanwhile."
    deed.reach = agents_reached(actor, queries.agents_among([credential.agent_id]), "Agents that use it")
    return answer(
        request,
        deed,
        lambda: [RotateCredential(credential_id=credential.id, **_value(request, form))],
        then=lambda _: credential_origin(credential).back(request, "Rotated. The vault gets the new value now."),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def credential_delete(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Destroy a credential's value, knowing who stops."""
    actor = actor_of(request)
    credential = credential_for_read(actor, credential_id)
    form = TypedName(sent(request), name=credential.agent.name)
    deed = credential_origin(credential).deed(
        request, form, heading=f"Revoke {_name(credential)}", button="Revoke for good"
    )
    deed.lead = "It is refused from that moment, in sessions that run too; its value is destroyed."
    deed.picture, deed.is_grave = "ban", True
    deed.reach = agents_reached(actor, queries.agents_among([credential.agent_id]), "Agents that lose it")
    return answer(
        request,
        deed,
        lambda: [DeleteCredential(credential_id=credential.id)],
        then=lambda _: go(request, reverse("agents:credentials"), saying="Revoked. Its value is destroyed."),
    )


@signed_in
@require_POST
def credential_reset_sync(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Push a credential's value again."""
    return performed(request, ResetCredentialSync(credential_id=credential_id), saying="Reset. It is pushed again now.")


@signed_in
@require_POST
def credential_reveal(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    """Show a minted bearer a single time, to be put into the foreign server that it is for."""

    def then(credential: Credential) -> HttpResponse:
        assert credential.sealed is not None, "it was good when it was revealed"
        token = sealing.unseal(credential.sealed)
        return fragment(request, "agents/credentials/_revealed.html", token=token, credential=credential)

    return performed(request, RevealCredential(credential_id=credential_id), then=then)


@signed_in
@require_GET
def secret_users(request: HttpRequest, secret_id: UUID) -> HttpResponse:
    """What uses a secret: the deployments that name it and the agents behind them. A part of the secret's page."""
    actor = actor_of(request)
    secret = secret_for(actor, secret_id)
    named = deployments_naming([(secret.name, secret.ou.path)], organization_id=secret.organization_id)
    seen = list(deployments_visible_to(actor).filter(pk__in=named).order_by("name"))
    return fragment(
        request,
        "agents/credentials/_secret_users.html",
        deployments=seen,
        hidden=len(named) - len(seen),
        reach=agents_reached(actor, queries.agents_among(agents_calling(named)), "Agents that call them"),
    )


def _lines(credentials: list[Credential]) -> list[Line]:
    states = connections.of_credentials(credentials)
    return [Line(credential, states[credential.id]) for credential in credentials]


def _cannot_be_shown(credential: Credential) -> Reason:
    if credential.source != CredentialSource.MINTED or not credential.is_for_foreign:
        return Reason("Only a bearer that was minted here for a foreign server is ever shown.")
    if credential.revealed_at is not None:
        return Reason("It was shown already. Rotate it to get another one.")
    return Reason("")


def _value(request: HttpRequest, form: ValueForm) -> dict[str, Any]:
    organization_id = actor_of(request).organization_id
    assert organization_id is not None, "only members see a credential"
    return new_value(organization_id, form.cleaned_data["token"]) | {"expires_at": form.cleaned_data["expires_at"]}


def _name(credential: Credential) -> str:
    return f"the credential of {credential.agent.display_name} for {credential.server.display_name}"
