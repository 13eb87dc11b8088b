"""One's own settings: who one is, the password, tokens, and how the keys of this installation are turned."""

from __future__ import annotations

from typing import Any  # template context
from uuid import UUID

from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import lists, passwords, queries, sign_in, tokens
from accounts.commands.passwords import SetPassword
from accounts.commands.tokens import RevokeToken
from accounts.models import AccessToken
from accounts.own_forms import PasswordForm, TokenForm
from powerloom.commands.bus import submit
from powerloom.kernel.errors import Conflict, Denied, Invalid, NotFound, TooMany, Unauthenticated
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from powerloom.web.answers import actor_of
from powerloom.web.lines import curl
from powerloom.web.lists import page_of
from powerloom.web.pages import go, page, shown_once, signed_in
from powerloom.web.requests import address, request_id
from powerloom.web.submitting import FORM_PART, form_page, performed, posted

ROWS = 50
TABS = {
    "settings:profile": "Profile",
    "settings:tokens": "Tokens",
    "console:webhooks": "Webhooks",
    "settings:keys": "Keys",
}


def tabs(current: str) -> dict[str, Any]:
    """Return the tabs of the settings, as context."""
    return {
        "tabs": [{"name": word, "url": reverse(view), "current": view == current} for view, word in TABS.items()],
    }


@signed_in
@require_GET
def profile(request: HttpRequest) -> HttpResponse:
    """Who one is, and what speaks for one."""
    actor = actor_of(request)
    me = queries.user_for(actor, _own(actor))
    return page(
        request,
        "accounts/profile.html",
        "accounts/_profile.html",
        me=me,
        groups=lists.groups_of(me.id),
        page=page_of(request, lists.naming(actor, me.id), size=ROWS, newest_first=False),
        **tabs("settings:profile"),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """Change one's own password; other sign-ins end."""
    actor = actor_of(request)
    me = queries.user_for(actor, _own(actor))
    form, back = PasswordForm(posted(request)), reverse("settings:profile")
    words: dict[str, Any] = {
        "title": "Change your password",
        "word": "Change the password",
        "back": back,
        "note": "Your other sign-ins end. Tokens stay as they are.",
    }
    if not form.is_bound or not form.is_valid():
        return form_page(request, form, then=lambda _: go(request, back), **words)
    try:
        sign_in.confirm(me.email, form.value.current_password, request_id=request_id(request), address=address(request))
        submit(SetPassword(user_id=me.id, sealed_id=passwords.sealed_hash(form.value.new_password, me)), actor=actor)
    except Unauthenticated:  # the sign-in is good; what is wrong is a field
        form.refuse(Invalid("This is not the current password.", field="current_password"))
    except (Invalid, Conflict, Denied, TooMany) as error:
        form.refuse(error)
    else:
        update_session_auth_hash(request, queries.user_for(actor, me.id))  # this sign-in goes on
        return go(request, back, saying="Changed. Your other sign-ins ended.")
    answer = page(request, "parts/form_page.html", FORM_PART, form=form, address=request.get_full_path(), **words)
    answer.status_code = Invalid.status
    return answer


@signed_in
@require_GET
def token_list(request: HttpRequest) -> HttpResponse:
    """One's own tokens, revoked ones too, newest first."""
    actor = actor_of(request)
    found = page_of(request, queries.tokens_of(actor, _own(actor)), size=ROWS)
    return page(
        request,
        "accounts/tokens.html",
        "accounts/_tokens.html",
        page=found,
        rows=[(token, _state(token)) for token in found.rows],
        line=curl(request, "/users/me/personal-access-tokens", '{"name": "laptop"}'),
        **tabs("settings:tokens"),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def token_new(request: HttpRequest) -> HttpResponse:
    """Make a token of oneself, and show its text this once."""
    actor = actor_of(request)
    text, prefix, digest = tokens.mint()
    minted = {"id": new_id(), "principal_id": _own(actor), "prefix": prefix, "digest": digest}
    back = reverse("settings:tokens")
    return form_page(
        request,
        TokenForm(posted(request), actor=actor),
        title="New token",
        word="Create the token",
        back=back,
        note="It does at most what you may do, and ends when you revoke it or its time is over.",
        commands=lambda fields: [fields.command(**minted)],
        then=lambda token: shown_once(request, what=f"The token {token.name}", value=text, back=back),
    )


@signed_in
@require_POST
def token_revoke(request: HttpRequest, token_id: UUID) -> HttpResponse:
    """End a token, and every token that it made, at once."""
    command = RevokeToken(principal_id=_own(actor_of(request)), token_id=token_id)
    done = "Revoked, and every token that it made."
    return performed(request, command, then=lambda _: go(request, reverse("settings:tokens"), saying=done))


@signed_in
@require_GET
def keys(request: HttpRequest) -> HttpResponse:
    """How the keys of this installation are turned, and by whom."""
    return page(request, "accounts/keys.html", "accounts/_keys.html", **tabs("settings:keys"))


def _own(actor: Actor) -> UUID:
    if actor.id is None or actor.organization_id is None:
        raise NotFound
    return actor.id


def _state(token: AccessToken) -> str:
    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at is not None and token.expires_at <= timezone.now():
        return "expired"
    return "live"
