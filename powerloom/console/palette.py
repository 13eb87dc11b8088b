"""The palette (Ctrl-K): any object by name or by any id, and the verbs, through one address that shows nobody more than
its own lists do.

An id of ours, of CMA, or of a request leads straight to what it names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any  # rows of every kind
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts import queries as directory
from accounts import trail
from accounts.law import shown
from agents import queries as agents
from agents.kinds import SyncKind
from agents.queries.credentials import credentials_visible_to
from agents.queries.lists import objects_on_runtime
from approvals import queries as approvals
from approvals.exposure import names
from powerloom.console.navigation import ROOMS
from powerloom.kernel.refs import Actor
from powerloom.web.answers import actor_of
from powerloom.web.pages import fragment, signed_in
from sessions.queries import sessions_visible_to

MOST = 5  # of each kind
MOST_NAMED = 100  # of those whose names are asked for, to find so many that may be told
LONGEST = 200
CMA_ID = re.compile(r"[a-z]+_[A-Za-z0-9_-]{2,}")


@dataclass(frozen=True)
class Kind:
    """One kind of object: its word and icon, what one may see of it, what is searched, where it is shown.

    `named` says what each row is called to its reader, where not everybody who sees a row may read that.
    """

    word: str
    icon: str
    visible: Callable[[Actor], QuerySet[Any]]
    fields: tuple[str, ...]
    view: str
    name: Callable[[Any], str]
    note: Callable[[Any], str]
    named: Callable[[Actor, Sequence[Any]], dict[UUID, str]] | None = None


@dataclass(frozen=True)
class Hit:
    """One line of the answer."""

    word: str
    icon: str
    name: str
    url: str
    note: str = ""


def _place(row: Any) -> str:
    return shown(row.ou.path)


KINDS = (
    Kind(
        "Agent",
        "bot",
        agents.agents_visible_to,
        ("name", "display_name"),
        "agents:detail",
        lambda row: str(row.display_name),
        _place,
    ),
    Kind(
        "Skill",
        "package",
        agents.skills_visible_to,
        ("name", "display_name"),
        "agents:skill",
        lambda row: str(row.display_name),
        _place,
    ),
    Kind(
        "Session",
        "square-terminal",
        lambda actor: sessions_visible_to(actor).select_related("agent"),
        ("title", "prompt"),
        "sessions:detail",
        lambda row: str(row.title or row.prompt[:80]),
        lambda row: str(row.agent.name),
    ),
    Kind(
        "Policy",
        "shield-check",
        approvals.policies_visible_to,
        ("name",),
        "approvals:policy",
        lambda row: str(row.name),
        lambda row: shown(row.scope_ou.path),
    ),
    Kind(
        "Request",
        "inbox",
        approvals.requests_visible_to,
        ("target_name",),
        "approvals:detail",
        lambda row: str(row.action),
        lambda row: str(row.requester_ref),
        names,
    ),
    Kind(
        "OU",
        "building-2",
        directory.ous_visible_to,
        ("path", "display_name"),
        "organization:ou",
        lambda row: str(row.display_name),
        lambda row: shown(row.path),
    ),
    Kind(
        "User",
        "user",
        directory.users_visible_to,
        ("email", "name"),
        "organization:user",
        lambda row: str(row.email),
        lambda row: str(row.name),
    ),
    Kind(
        "Group",
        "users",
        directory.groups_visible_to,
        ("name", "display_name"),
        "organization:group",
        lambda row: str(row.display_name),
        _place,
    ),
    Kind(
        "Role",
        "key-round",
        directory.roles_visible_to,
        ("name",),
        "organization:role",
        lambda row: str(row.name),
        lambda row: "custom" if row.organization_id else "built in",
    ),
    Kind(
        "Webhook",
        "send",
        approvals.webhooks_visible_to,
        ("name",),
        "console:webhook",
        lambda row: str(row.name),
        lambda row: str(row.url),
    ),
    Kind(
        "MCP server",
        "server",
        agents.servers_visible_to,
        ("name", "display_name"),
        "agents:server",
        lambda row: str(row.display_name),
        _place,
    ),
    Kind(
        "Deployment",
        "server",
        agents.deployments_visible_to,
        ("name", "display_name"),
        "agents:deployment",
        lambda row: str(row.display_name),
        _place,
    ),
    Kind(
        "Credential",
        "key-round",
        credentials_visible_to,
        ("agent__name", "server__name"),
        "agents:credential",
        lambda row: f"{row.agent.name} to {row.server.name}",
        lambda row: shown(row.agent.ou.path),
    ),
    Kind(
        "Secret",
        "key-round",
        directory.secrets_visible_to,
        ("name",),
        "accounts:secret",
        lambda row: str(row.name),
        _place,
    ),
)
ON_RUNTIME: dict[str, int] = {
    SyncKind.AGENT: 0,
    SyncKind.SKILL: 1,
    SyncKind.CREDENTIAL: 12,
}  # the kinds above that CMA has ids for
SESSIONS = 2

INVOKE = "Invoke an agent"
VERBS = (
    (INVOKE, "agents:list"),
    ("New OU", "organization:ou_new"),
    ("New user", "organization:user_new"),
    ("New group", "organization:group_new"),
    ("New role", "organization:role_new"),
    ("New binding", "organization:binding_new"),
    ("New agent", "agents:create"),
    ("New skill", "agents:skill_create"),
    ("New MCP server", "agents:server_gallery"),
    ("New credential", "agents:credential_create"),
    ("New secret", "accounts:secret_create"),
    ("New policy", "approvals:policy_new"),
    ("New token", "settings:token_new"),
    ("New webhook", "console:webhook_new"),
    ("Explain access", "organization:explain"),
    ("Verify the audit chain", "console:audit_chain"),
    ("Change your password", "settings:password"),
)


@signed_in
@require_GET
def find(request: HttpRequest) -> HttpResponse:
    """What the typed text names: verbs, and objects by name or any id."""
    actor, text = actor_of(request), request.GET.get("q", "").strip()[:LONGEST]
    hits = [*_verbs(text)]
    if text and actor.organization_id is not None:
        hits = [*_by_id(actor, text), *_invocable(actor, text), *hits, *_by_name(actor, text)]
    return fragment(request, "console/_found.html", hits=hits, text=text)


def _verbs(text: str) -> Iterator[Hit]:
    wanted = text.lower()
    for room in ROOMS:
        if wanted in f"go to {room.name}".lower():
            yield Hit("Go to", room.icon, room.name, reverse(room.view), f"g {room.key}")
    for word, view in VERBS:
        if wanted in word.lower():
            yield Hit("Do", "corner-down-right", word, reverse(view))


def _invocable(actor: Actor, text: str) -> Iterator[Hit]:
    """Find the agents that may be invoked when the text says so: `invoke`, or `invoke review`."""
    verb, _, rest = text.lower().partition(" ")
    if verb == INVOKE.partition(" ")[0].lower():
        named = Q(name__icontains=rest.strip()) | Q(display_name__icontains=rest.strip())
        yield from map(_invoke, agents.agents_invocable_by(actor).filter(named).order_by("-pk")[:MOST])


def _by_name(actor: Actor, text: str) -> Iterator[Hit]:
    for kind in KINDS:
        law = Q()
        for field in kind.fields:
            law |= Q(**{f"{field}__icontains": text})
        rows = list(kind.visible(actor).filter(law).order_by("-pk")[: MOST_NAMED if kind.named else MOST])
        yield from _hits(actor, kind, rows, text)
        if kind.view == "agents:detail":
            yield from (_invoke(row) for row in rows)


def _by_id(actor: Actor, text: str) -> Iterator[Hit]:
    try:
        id_ = UUID(text)
    except ValueError:
        if CMA_ID.fullmatch(text):
            yield from _elsewhere(actor, text)
        return
    for kind in KINDS:
        yield from _hits(actor, kind, kind.visible(actor).filter(pk=id_))


def _elsewhere(actor: Actor, text: str) -> Iterator[Hit]:
    """Find what CMA calls so, and what a request of this id did."""
    for kind, object_id in objects_on_runtime(text):
        if kind in ON_RUNTIME:
            place = KINDS[ON_RUNTIME[kind]]
            yield from _hits(actor, place, place.visible(actor).filter(pk=object_id))
    rows = KINDS[SESSIONS].visible(actor).filter(cma_session_id=text)
    yield from _hits(actor, KINDS[SESSIONS], rows[:MOST])
    if entries := trail.entries_visible_to(actor).filter(request_id=text)[:MOST].count():
        address = f"{reverse('console:audit')}?request={text}"
        yield Hit("Audit", "scroll-text", f"What request {text} did", address, f"{entries} entries")


def _hits(actor: Actor, kind: Kind, rows: Iterable[Any], text: str = "") -> list[Hit]:
    """Return the rows as lines; a text that is only in a name which the actor may not read has found nothing."""
    rows = list(rows)
    if kind.named is None:
        return [_hit(kind, row, kind.name(row)) for row in rows]
    named = kind.named(actor, rows)
    told = [row for row in rows if text.casefold() in named[row.pk].casefold()]
    return [_hit(kind, row, f"{kind.name(row)} {named[row.pk]}") for row in told[:MOST]]


def _hit(kind: Kind, row: Any, name: str) -> Hit:
    return Hit(kind.word, kind.icon, name, reverse(kind.view, args=[row.pk]), kind.note(row))


def _invoke(row: Any) -> Hit:
    return Hit(
        "Do", "play", f"Invoke {row.display_name}", f"{reverse('agents:detail', args=[row.pk])}#invoke", _place(row)
    )
