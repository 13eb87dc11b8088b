"""People: the list, one person with all that speaks for it, and what one may do to it."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import lists, passwords, queries, rbac
from accounts.actions import Action
from accounts.commands.passwords import SetPassword
from accounts.commands.users import DisableUser, EnableUser
from accounts.law import shown
from accounts.models import User
from accounts.organization_forms import MoveUserForm, RenameUserForm, UserForm
from accounts.reasons import Reason, reason_anywhere, reasons_against
from accounts.views.room import tabs
from powerloom.kernel.ids import new_id
from powerloom.web.answers import actor_of
from powerloom.web.filters import Filters
from powerloom.web.lines import curl
from powerloom.web.lists import page_of
from powerloom.web.pages import go, page, shown_once, signed_in
from powerloom.web.submitting import form_page, performed, posted

ROWS = 50
ACTS = {
    "rename": Action.USER_UPDATE,
    "move": Action.USER_MOVE,
    "disable": Action.USER_DISABLE,
    "enable": Action.USER_ENABLE,
    "password": Action.USER_SET_PASSWORD,
}


@signed_in
@require_GET
def user_list(request: HttpRequest) -> HttpResponse:
    """The people of the organization."""
    actor, chosen = actor_of(request), Filters(request, q="User", state="State", ou="OU")
    rows = lists.users_matching(actor, text=chosen["q"], under=chosen["ou"], state=chosen["state"])
    return page(
        request,
        "accounts/users.html",
        "accounts/_users.html",
        page=page_of(request, rows, size=ROWS, newest_first=False),
        chosen=chosen,
        chips=chosen.chips(state=str.capitalize),
        kept=chosen.kept(by_form=frozenset({"q", "state"})),
        bare=request.path,
        line=curl(request, "/users", '{"email": "…", "home_ou_id": "…"}'),
        refusals={"create": reason_anywhere(actor, Action.USER_CREATE)},
        **tabs("users"),
    )


@signed_in
@require_GET
def user_detail(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """One person: home, groups, and the bindings that speak for it."""
    actor = actor_of(request)
    person = queries.user_for(actor, user_id)
    return page(
        request,
        "accounts/user.html",
        "accounts/_user.html",
        person=person,
        groups=lists.groups_of(person.id),
        page=page_of(request, lists.naming(actor, person.id), size=ROWS, newest_first=False),
        refusals=_refusals(request, person),
        is_me=person.id == actor.id,
        **tabs("users"),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def user_new(request: HttpRequest) -> HttpResponse:
    """Make a person; the page that follows offers a first password."""
    actor = actor_of(request)
    home = request.GET.get("ou") or shown(queries.root_of(actor).path)
    form = UserForm(posted(request), actor=actor, given={"id": new_id()}, initial={"home_ou_id": home})
    return form_page(
        request,
        form,
        title="New user",
        word="Create the user",
        back=reverse("organization:users"),
        note="A new user has no password yet: give a first one on the next page.",
        then=lambda person: go(request, _address(person.id), saying=f"Created {person.email}."),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def user_rename(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """Change a person's name."""
    person = queries.user_for(actor_of(request), user_id)
    form = RenameUserForm(posted(request), given={"user_id": person.id}, initial={"name": person.name})
    return form_page(
        request,
        form,
        title=f"Rename {person.email}",
        word="Save",
        back=_address(person.id),
        then=lambda _: go(request, _address(person.id), saying="Renamed."),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def user_move(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """Give a person another home OU."""
    actor = actor_of(request)
    person = queries.user_for(actor, user_id)
    home = shown(person.home_ou.path) if person.home_ou else ""
    form = MoveUserForm(posted(request), actor=actor, given={"user_id": person.id}, initial={"home_ou_id": home})
    return form_page(
        request,
        form,
        title=f"Move {person.email}",
        word="Move",
        back=_address(person.id),
        then=lambda _: go(request, _address(person.id), saying="Moved."),
    )


@signed_in
@require_POST
def user_disable(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """End all of a person's sign-ins and tokens at once."""
    done = "Disabled. Sign-ins and tokens ended at once."
    return performed(request, DisableUser(user_id=user_id), then=lambda _: go(request, _address(user_id), saying=done))


@signed_in
@require_POST
def user_enable(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """Let a disabled person sign in again."""
    done = "Enabled. Revoked tokens stay revoked."
    return performed(request, EnableUser(user_id=user_id), then=lambda _: go(request, _address(user_id), saying=done))


@signed_in
@require_POST
def user_password(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """Give a person a first password, and show it this once."""
    actor = actor_of(request)
    person = queries.user_for(actor, user_id)
    decision = rbac.may(actor, Action.USER_SET_PASSWORD, person.target().ou_path)
    if not decision.allowed:  # asked again by the door; here it saves hashing for whoever may not
        raise rbac.refusal(actor, Action.USER_SET_PASSWORD, person.target(), decision)
    password = passwords.minted()
    command = SetPassword(user_id=person.id, sealed_id=passwords.sealed_hash(password, person))
    what = f"The first password of {person.email}"
    return performed(
        request, command, then=lambda _: shown_once(request, what=what, value=password, back=_address(person.id))
    )


def _refusals(request: HttpRequest, person: User) -> dict[str, Reason]:
    against = reasons_against(actor_of(request), person.target(), list(ACTS.values()))
    found = {act: against[action] for act, action in ACTS.items()}
    if person.id == actor_of(request).id:
        found["password"] = Reason("Your own password is changed in Settings, with the current one.")
    return found


def _address(user_id: UUID) -> str:
    return reverse("organization:user", args=[user_id])
