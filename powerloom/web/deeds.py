"""A form that does one thing: shown, sent, shown again with what was refused and what was typed, held, or done.

    deed = Deed(form=SkillForm(sent(request)), url=request.path, button="Create the skill", heading="New skill")
    return answer(request, deed, lambda: [form.value], then=lambda done: go(request, …))

The same deed is a page of its own (`deed.html`) or a part of another (`parts/deed.html`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any  # template context

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse

from powerloom.commands.bus import submit_all
from powerloom.commands.registry import Command, Done, Held
from powerloom.kernel.errors import Conflict, Denied, Invalid
from powerloom.web.answers import actor_of
from powerloom.web.forms import ConsoleForm
from powerloom.web.pages import go, is_fragment

Commands = Callable[[], Sequence[Command]]
Then = Callable[[Done], HttpResponse]


@dataclass(frozen=True)
class Reach:
    """One kind of thing that a deed reaches: those that the viewer may see, by name and address, and how many more."""

    words: str
    shown: Sequence[tuple[str, str]] = ()
    hidden: int = 0

    @property
    def count(self) -> int:
        return len(self.shown) + self.hidden


@dataclass(kw_only=True)
class Deed:
    """What the form says around its fields.

    `fields` draws them where their order alone is not enough; `aside` stands beside the form; `obstacle` is why it
    cannot be done now, in words. `is_grave` marks what has no way back.
    """

    form: ConsoleForm
    url: str
    button: str
    heading: str = ""
    lead: str = ""
    back: str = ""
    path: str = ""
    room: str = ""
    picture: str = ""
    fields: str = ""
    aside: str = ""
    obstacle: str = ""
    is_grave: bool = False
    reach: Sequence[Reach] = ()
    context: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What tells this form from another on the same page."""
        return "deed" + re.sub(r"[^a-z0-9]+", "-", self.url.partition("?")[0])


@dataclass(frozen=True)
class Origin:
    """What a thing's deeds start from and lead back to: its page, the path of its OU, the room it is found in."""

    address: str
    path: str
    room: str

    def deed(
        self, request: HttpRequest, form: ConsoleForm, *, heading: str, button: str, tab: str = "", url: str = ""
    ) -> Deed:
        """Return a deed on the thing that comes back to this tab of its page. Without `url` it is sent to this page."""
        return Deed(
            form=form,
            url=url or request.get_full_path(),
            heading=heading,
            button=button,
            back=self.tab(tab),
            path=self.path,
            room=self.room,
        )

    def tab(self, name: str) -> str:
        """Return the address of one tab of the thing's page; of the first without a name."""
        return f"{self.address}?tab={name}" if name else self.address

    def back(self, request: HttpRequest, saying: str, *, tab: str = "") -> HttpResponse:
        """Go to the thing's page, which says this."""
        return go(request, self.tab(tab), saying=saying)


def sent(request: HttpRequest) -> QueryDict | None:
    """Return what a form is bound to: what was sent, also when that is nothing at all."""
    return request.POST if request.method == "POST" else None


def answer(request: HttpRequest, deed: Deed, commands: Commands, then: Then) -> HttpResponse:
    """Show the deed, or do it: `commands` is asked once the form is valid, `then` answers once they are applied.

    What is refused comes back in place, beside its field where it names one; nothing that was typed is lost, unless it
    was secret.
    """
    if request.method != "POST":
        return shown(request, deed)
    if not deed.form.is_valid():
        return shown(request, deed, status=422)
    try:
        outcome = submit_all(commands(), actor=actor_of(request))
    except (Invalid, Conflict, Denied) as error:
        deed.form.refuse(error)
        return shown(request, deed, status=error.status)
    match outcome:
        case Done():
            return then(outcome)
        case Held(request=ask):
            return shown(request, deed, status=202, held=ask)


def shown(request: HttpRequest, deed: Deed, *, status: int = 200, held: Any | None = None) -> HttpResponse:
    """Render the deed as a page, or as the part that htmx swaps. `held` is the request that waits in its place."""
    context = {"deed": deed, "form": deed.form, "held": held, **deed.context}
    if held:
        context["request_url"] = reverse("approvals:detail", args=[held["id"]])
    return render(request, "parts/deed.html" if is_fragment(request) else "deed.html", context, status=status)
