"""Where something new may go: the OUs that a form offers, and why there are none."""

from __future__ import annotations

from uuid import UUID

from django import forms
from django.http import HttpRequest

from accounts.law import shown
from accounts.queries import ous_permitting, root_of
from accounts.reasons import Reason, reasons_against
from powerloom.kernel.refs import Actor
from powerloom.web.answers import actor_of

Places = list[tuple[str, str]]


def places_for(actor: Actor, action: str) -> Places:
    """Return the OUs where the actor may do this, as choices; one query."""
    return [(str(ou.id), shown(ou.path)) for ou in ous_permitting(actor, action)]


def reason_against_new(request: HttpRequest, action: str) -> Reason:
    """Return "" when the viewer may do this in some OU, else why not at the top; two queries at most."""
    actor = actor_of(request)
    if ous_permitting(actor, action).exists():
        return Reason("")
    return reasons_against(actor, root_of(actor).target(), [action])[action]


def chosen_place(request: HttpRequest, places: Places) -> str:
    """Return the id of the OU that the page is narrowed to, if it is among these; else the first's."""
    scope = request.GET.get("ou", "")
    return next((id_ for id_, path in places if path == scope), places[0][0] if places else "")


class PlaceField(forms.TypedChoiceField):
    """The OU that something new goes into."""

    def __init__(self, places: Places) -> None:
        super().__init__(label="OU", choices=places, coerce=UUID, help_text="It stays there: an OU is never changed.")
