"""`weave get` and `weave describe`: lists, and one thing whole."""

from __future__ import annotations

from typing import Annotated

import typer

from powerloom.cli import kinds
from powerloom.cli.verbs import Weave

FIRST = ("name", "display_name", "id", "path", "ou_path", "status", "sync_status")

KindWord = Annotated[str, typer.Argument(help="A kind: agents, skills, sessions …", autocompletion=kinds.words)]


def get(
    weave: Weave,
    kind: KindWord,
    name: Annotated[str | None, typer.Argument(help="Only this one, by id, path or name.")] = None,
    ou: Annotated[str | None, typer.Option(help="Only what lies in exactly this OU, by its path.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many, the newest first.")] = None,
) -> None:
    """List things of a kind, as far as you may read them."""
    found = kinds.kind_of(kind)
    if name is not None:
        rows = [kinds.find(weave.api, kind, name)]
    elif ou is not None and not found.by_ou:
        raise typer.BadParameter(f"{found.plural} lie in no OU.", param_hint="--ou")
    else:
        query = {found.by_ou: kinds.ou_of(weave.api, ou)["id"]} if ou else {}
        rows = weave.api.rows(found.path, most=limit, **query)
    weave.screen.rows(rows, found.columns, none=f"There are no {found.plural} that you can see.")


def describe(weave: Weave, kind: KindWord, name: Annotated[str, typer.Argument(help="By id, path or name.")]) -> None:
    """Show one thing with everything that you may know of it."""
    weave.screen.record(kinds.find(weave.api, kind, name), first=FIRST)
