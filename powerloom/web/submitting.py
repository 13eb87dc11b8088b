"""A console form that becomes commands: the same lines for every room.

    form = GroupForm(request.POST, given={"id": new_id()})
    return submitted(request, form, "accounts/_group_form.html", then=lambda group: go(request, …))

What is refused comes back in the form, beside its field where it names one, and nothing that was typed is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any  # template context, and the rows and values of every form

from django.http import HttpRequest, HttpResponse, QueryDict

from powerloom.commands.bus import submit_all
from powerloom.commands.registry import Command, Done, Held
from powerloom.kernel.errors import Conflict, Denied, Invalid
from powerloom.web.answers import actor_of
from powerloom.web.forms import SchemaForm
from powerloom.web.pages import held, page, said

Then = Callable[[Any], HttpResponse]

FORM_PAGE, FORM_PART = "parts/form_page.html", "parts/form_part.html"


def submitted(
    request: HttpRequest,
    form: SchemaForm[Any],
    part: str,
    *,
    then: Then,
    whole: str = "",
    commands: Callable[[Any], Sequence[Command]] | None = None,
    **context: Any,
) -> HttpResponse:
    """Submit what the form makes, and answer with `then` of the first command's row.

    A value that is wrong, or refused (403, 409, 422), answers with `part` and the form in it; `whole` is the page for
    a browser without script. `commands` makes a set of the form's value, where the value is not itself the command. A
    held change says so, with a link to its request.
    """
    if not form.is_valid():
        return _again(request, form, part, whole, 422, context)
    try:
        made = commands(form.value) if commands else [form.value]
        outcome = submit_all(made, actor=actor_of(request))
    except (Invalid, Conflict, Denied) as error:
        form.refuse(error)
        return _again(request, form, part, whole, error.status, context)
    match outcome:
        case Done():
            return then(outcome.row)
        case Held(request=ask):
            return held(request, ask)


def posted(request: HttpRequest) -> QueryDict | None:
    """Return what a form is to be bound to: what was sent, or nothing when the page is only opened."""
    return request.POST if request.method == "POST" else None


def form_page(
    request: HttpRequest,
    form: SchemaForm[Any],
    *,
    then: Then,
    title: str,
    word: str,
    back: str,
    note: str = "",
    commands: Callable[[Any], Sequence[Command]] | None = None,
    **context: Any,
) -> HttpResponse:
    """Answer both methods of a page that is one form: the page, or what came of sending it (as `submitted`).

    `word` is on its button, `back` where one goes instead, `note` a sentence above it; `style="danger"` and
    `crumb` (an OU path) are of the context.
    """
    shown = {**context, "title": title, "word": word, "back": back, "note": note, "address": request.get_full_path()}
    if not form.is_bound:
        return page(request, FORM_PAGE, FORM_PART, form=form, **shown)
    return submitted(request, form, FORM_PART, whole=FORM_PAGE, then=then, commands=commands, **shown)


def performed(request: HttpRequest, *commands: Command, saying: str = "", then: Then | None = None) -> HttpResponse:
    """Submit commands that no form asks about, and say what was done, or answer with `then` of the first one's row."""
    match submit_all(commands, actor=actor_of(request)):
        case Done() as done:
            return then(done.row) if then else said(request, saying)
        case Held(request=ask):
            return held(request, ask)


def _again(
    request: HttpRequest, form: SchemaForm[Any], part: str, whole: str, status: int, context: dict[str, Any]
) -> HttpResponse:
    answer = page(request, whole or part, part, form=form, **context)
    answer.status_code = status
    return answer
