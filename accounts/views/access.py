"""Why somebody may or may not do something somewhere: the page that answers it, and the part beside a control."""

from __future__ import annotations

from typing import Any  # template context
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts import explain, queries
from accounts.law import shown
from accounts.roles import known_actions
from accounts.views.room import tabs
from powerloom.kernel.errors import Invalid, PowerloomError
from powerloom.kernel.refs import Actor
from powerloom.web.answers import actor_of
from powerloom.web.lines import place_of, weave
from powerloom.web.pages import fragment, page, signed_in

MOST_OFFERED = 200  # choices in a list of suggestions; what is not offered may still be typed


@signed_in
@require_GET
def explained(request: HttpRequest) -> HttpResponse:
    """Can somebody do this there? The facts in order, the one that decided, and the least that would change it."""
    actor = actor_of(request)
    asked = {name: request.GET.get(name, "").strip() for name in ("who", "action", "ou")}
    line = weave("access", "explain", asked["action"] or "agent:update", asked["ou"] or place_of(request))
    context: dict[str, Any] = {"asked": asked, "actions": sorted(known_actions()), "line": line}
    status = 200
    if asked["action"] and asked["ou"]:
        try:
            context |= _answer(actor, **asked)
        except PowerloomError as error:
            context["refused"], status = _words(error), error.status
    context["ous"] = [shown(ou.path) for ou in queries.ous_visible_to(actor).order_by("path")[:MOST_OFFERED]]
    context["people"] = queries.named_in_directory(actor)[:MOST_OFFERED]
    context |= tabs("explain")
    answer = page(request, "accounts/explain.html", "accounts/_explanation.html", **context)
    answer.status_code = status
    return answer


@signed_in
@require_GET
def why(request: HttpRequest) -> HttpResponse:
    """What stands against the person who asks, for the popover beside a control that is switched off."""
    found = _answer(actor_of(request), who="", action=request.GET.get("action", ""), ou=request.GET.get("ou", ""))
    return fragment(request, "accounts/_why.html", **found)


def _answer(actor: Actor, *, who: str, action: str, ou: str) -> dict[str, Any]:
    place = queries.ou_named(actor, ou)
    principal_id = queries.principal_named(actor, who).id if who else None
    found = explain.explain(explain.asked(actor, action, place.id, principal_id))
    asking = next((step for step in found["remedy"] if step.get("request")), None)
    about = {"action": action, "ou": shown(place.path)}
    return {
        "found": found,
        "ou": place,
        "ask_url": f"{reverse('console:ask_access')}?{urlencode(about)}" if asking else "",
        "page_url": f"{reverse('organization:explain')}?{urlencode(about)}",
    }


def _words(error: PowerloomError) -> str:
    if isinstance(error, Invalid) and error.detail.get("field") == "action":
        return "There is no such action. Choose one of the list: a noun and a verb, as agent:create."
    return error.message
