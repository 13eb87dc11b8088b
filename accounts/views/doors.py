"""In, out, and the OUs that a page can be narrowed to."""

from __future__ import annotations

from typing import Any  # generic views of Django

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from accounts import dev_login, queries, sign_in
from accounts.forms import SignInForm
from accounts.law import shown
from powerloom.kernel.errors import Invalid, NotFound, TooMany
from powerloom.web.answers import actor_of
from powerloom.web.pages import fragment, refused, signed_in
from powerloom.web.requests import address, request_id


class SignIn(LoginView):
    """The sign-in page. Its form records the sign-in, and one that failed."""

    template_name = "accounts/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {"people": dev_login.people(self.request)}

    def form_invalid(self, form: Any) -> HttpResponse:
        too_many = form.has_error("__all__", code=TooMany.code)
        return self.render_to_response(self.get_context_data(form=form), status=TooMany.status if too_many else 422)


@require_POST
def sign_in_by_name(request: HttpRequest) -> HttpResponse:
    """Sign in with one click, in development on this machine; elsewhere there is nothing here."""
    try:
        user = dev_login.user_named(request, request.POST.get("email", ""))
    except NotFound as error:
        return refused(request, error)
    login(request, user)
    sign_in.record(user, "development", request_id=request_id(request), address=address(request))
    following = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(following, {request.get_host()}, require_https=request.is_secure())
    return redirect(following if is_ours else settings.LOGIN_REDIRECT_URL)


class SignOut(LogoutView):
    """The way out; only by POST."""


@signed_in
@require_GET
def scopes(request: HttpRequest) -> HttpResponse:
    """The OUs of the organization, as choices for the page that asks."""
    room = request.GET.get("room", "")
    if not room.startswith("/") or not url_has_allowed_host_and_scheme(room, None):
        raise Invalid("A scope is chosen for a page of this console.", field="room")
    ous = queries.ous_visible_to(actor_of(request)).order_by("path")
    paths = [shown(ou.path) for ou in ous]
    return fragment(request, "accounts/_scopes.html", paths=paths, room=room, chosen=request.GET.get("ou", ""))
