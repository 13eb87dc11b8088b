"""Console views of secrets: which there are and who may use them. Values go in; none comes out."""

from __future__ import annotations

from typing import Any  # template context
from uuid import UUID

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from accounts import queries
from accounts.actions import Action
from accounts.commands.secrets import CreateSecret, DeleteSecret, RotateSecret, sealed_value
from accounts.granters import who_may
from accounts.models import Secret
from accounts.places import chosen_place, places_for, reason_against_new
from accounts.reasons import reasons_against
from accounts.secret_forms import KINDS, NewSecretForm, ValueForm
from powerloom.kernel.ids import new_id
from powerloom.web.answers import actor_of
from powerloom.web.deeds import Deed, Origin, answer, sent
from powerloom.web.filters import Filters
from powerloom.web.forms import TypedName
from powerloom.web.lines import place_of, weave
from powerloom.web.lists import page_of
from powerloom.web.pages import go, page, signed_in

ROWS = 50
ACTIONS = (Action.SECRET_DELETE, Action.SECRET_ROTATE, Action.SECRET_USE)


@signed_in
@require_GET
def secret_list(request: HttpRequest) -> HttpResponse:
    """The secrets that one may know of, newest first."""
    chosen = Filters(request, q="Name", kind="Kind", ou="OU")
    rows = queries.secrets_visible_to(actor_of(request)).filter(_terms(chosen))
    return page(
        request,
        "accounts/secrets/list.html",
        "accounts/secrets/_list.html",
        page=page_of(request, rows, size=ROWS),
        chosen=chosen,
        chips=chosen.chips(),
        kept=chosen.kept(by_form=frozenset({"q"})),
        bare=request.path,
        new_refusal=reason_against_new(request, Action.SECRET_CREATE),
        tabs=key_tabs("accounts:secrets"),
        line=weave("secret", "set", f"{place_of(request)}/database-password"),
    )


@signed_in
@require_GET
def secret_detail(request: HttpRequest, secret_id: UUID) -> HttpResponse:
    """One secret, without its value: where it holds, who can use it, what uses it."""
    actor = actor_of(request)
    secret = queries.secret_for(actor, secret_id)
    against = reasons_against(actor, secret.target(), ACTIONS)
    return page(
        request,
        "accounts/secrets/secret.html",
        "accounts/secrets/_secret.html",
        secret=secret,
        refusals={action.partition(":")[2]: reason for action, reason in against.items()},
        who=[
            (words, who_may(action, secret.ou.path, secret.organization_id))
            for words, action in (
                ("Use it in a deployment", Action.SECRET_USE),
                ("Rotate it", Action.SECRET_ROTATE),
                ("Delete it", Action.SECRET_DELETE),
            )
        ],
    )


@signed_in
@require_http_methods(["GET", "POST"])
def secret_create(request: HttpRequest) -> HttpResponse:
    """Keep a secret."""
    actor = actor_of(request)
    places = places_for(actor, Action.SECRET_CREATE)
    form = NewSecretForm(sent(request), places=places, initial={"ou_id": chosen_place(request, places)})
    deed = Deed(
        form=form,
        url=request.get_full_path(),
        heading="New secret",
        lead="A named value that deployments in its OU and below may use. It goes in and never comes out.",
        button="Keep the secret",
        back=reverse("accounts:secrets"),
        fields="accounts/secrets/_fields.html",
        obstacle="" if places else reason_against_new(request, Action.SECRET_CREATE),
        context={"kinds": KINDS},
    )

    def commands() -> list[CreateSecret]:
        said = {name: form.cleaned_data[name] for name in ("ou_id", "name", "kind", "description")}
        organization_id = queries.ou_for(actor, said["ou_id"]).organization_id
        return [CreateSecret(id=new_id(), **said, **sealed_value(organization_id, form.cleaned_data["value"]))]

    return answer(
        request, deed, commands, then=lambda done: _origin(done.row).back(request, "Kept. It is not shown again.")
    )


@signed_in
@require_http_methods(["GET", "POST"])
def secret_rotate(request: HttpRequest, secret_id: UUID) -> HttpResponse:
    """Replace a secret's value."""
    secret = queries.secret_for(actor_of(request), secret_id)
    form = ValueForm(sent(request))
    deed = _origin(secret).deed(request, form, heading=f"Rotate {secret.name}", button="Rotate")
    deed.lead = "The value before is destroyed. Deployments use the new one from their next call on."

    def commands() -> list[RotateSecret]:
        value = sealed_value(secret.organization_id, form.cleaned_data["value"])
        return [RotateSecret(secret_id=secret.id, **value)]

    return answer(request, deed, commands, then=lambda _: _origin(secret).back(request, "Rotated."))


@signed_in
@require_http_methods(["GET", "POST"])
def secret_delete(request: HttpRequest, secret_id: UUID) -> HttpResponse:
    """Destroy a secret, knowing what stops."""
    secret = queries.secret_for(actor_of(request), secret_id)
    form = TypedName(sent(request), name=secret.name)
    deed = _origin(secret).deed(request, form, heading=f"Delete {secret.name}", button="Delete for good")
    deed.lead = "Its value is destroyed. Deployments that name it fail from their next call on."
    deed.picture, deed.is_grave, deed.fields = "trash-2", True, "accounts/secrets/_delete_fields.html"
    deed.context = {"secret": secret}
    return answer(
        request,
        deed,
        lambda: [DeleteSecret(secret_id=secret.id)],
        then=lambda _: go(request, reverse("accounts:secrets"), saying=f"{secret.name} is destroyed."),
    )


def key_tabs(current: str) -> list[dict[str, Any]]:
    """Return the tabs of the room of credentials and secrets; `current` is the URL name of the one that is open."""
    names = {"agents:credentials": "Credentials", "accounts:secrets": "Secrets"}
    return [{"name": word, "url": reverse(name), "current": name == current} for name, word in names.items()]


def _terms(chosen: Filters) -> Q:
    terms = Q()
    if chosen["q"]:
        terms &= Q(name__icontains=chosen["q"])
    if chosen["kind"]:
        terms &= Q(kind=chosen["kind"])
    if chosen["ou"]:
        terms &= Q(ou__path__startswith=f"{chosen['ou'].rstrip('/')}/")
    return terms


def _origin(secret: Secret) -> Origin:
    return Origin(reverse("accounts:secret", args=[secret.id]), secret.ou.path, reverse("accounts:secrets"))
