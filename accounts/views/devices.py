"""Where a person confirms the sign-in of a program that shows a code (RFC 8628)."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from accounts import devices, queries, sign_in
from accounts.commands.tokens import CreateToken
from accounts.forms import DeviceForm
from accounts.models import DeviceLogin, User
from accounts.tokens import mint
from powerloom.commands.bus import preview
from powerloom.kernel.errors import Denied, Invalid, NotFound
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from powerloom.web.answers import actor_of
from powerloom.web.pages import go, signed_in
from powerloom.web.requests import address, request_id


@signed_in
@require_GET
def confirm(request: HttpRequest) -> HttpResponse:
    """Where a code that a program shows is typed, and then confirmed; opening the address confirms nothing."""
    typed = request.GET.get("user_code", "")
    if not typed:
        return render(request, "accounts/device.html")
    try:
        login = devices.waiting(typed, _member(request))
    except NotFound as error:
        return render(request, "accounts/device.html", {"problem": error.message}, status=404)
    initial = {"name": login.client_name, "actions": " ".join(login.scope)}
    form = DeviceForm(ous=queries.ous_visible_to(actor_of(request)).order_by("path"), initial=initial)
    return _confirmation(request, login, form)


@signed_in
@require_POST
def decide(request: HttpRequest) -> HttpResponse:
    """Say yes or no to a program that shows a code."""
    user, actor = _member(request), actor_of(request)
    login = devices.waiting(request.POST.get("user_code", ""), user)
    if request.POST.get("verdict") != "approve":
        devices.deny(login, user)
        return go(request, settings.LOGIN_REDIRECT_URL, saying=f"{login.client_name} is not signed in.")
    form = DeviceForm(request.POST, ous=queries.ous_visible_to(actor).order_by("path"))
    if not form.is_valid() or not _can_be_made(form, actor):
        return _confirmation(request, login, form, status=422)
    devices.approve(login, user, form.chosen)
    sign_in.record(user, "device", request_id=request_id(request), address=address(request))
    return go(request, settings.LOGIN_REDIRECT_URL, saying=f"{login.client_name} is signed in as {user.email}.")


def _confirmation(request: HttpRequest, login: DeviceLogin, form: DeviceForm, status: int = 200) -> HttpResponse:
    typed = request.POST.get("user_code") or request.GET.get("user_code", "")
    context = {"asked": login, "form": form, "user_code": typed}
    return render(request, "accounts/device.html", context, status=status)


def _member(request: HttpRequest) -> User:
    user = request.user
    if not isinstance(user, User) or user.organization_id is None:
        raise Denied("Platform operators use the console. Programs are signed in by members of an organization.")
    return user


def _can_be_made(form: DeviceForm, actor: Actor) -> bool:
    """Try the token that was chosen, and say on the form what is wrong with it."""
    chosen = form.chosen
    assert actor.id is not None, "somebody is signed in"
    _, prefix, digest = mint()
    command = CreateToken(
        id=new_id(),
        principal_id=actor.id,
        name=chosen.name,
        prefix=prefix,
        digest=digest,
        expires_at=chosen.expires_at,
        actions=None if chosen.actions is None else tuple(chosen.actions),
        ou_id=chosen.ou.id if chosen.ou else None,
    )
    try:
        preview([command], actor=actor)
    except Invalid as error:
        field = {"ou_id": "ou", "expires_at": "days"}.get(str(error.detail.get("field")), error.detail.get("field"))
        form.add_error(str(field) if field in form.fields else None, error.message)
        return False
    return True
