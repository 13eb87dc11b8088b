"""`weave secret`: keep a value. It is read from standard input, or typed unseen; never given as an argument, which
every program of the machine could read.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from powerloom.cli import kinds
from powerloom.cli.verbs import USAGE, Failed, Weave, noun, verb

app = noun("secret", "Secrets: values that are used and never shown.")


@verb(app, "set")
def keep(
    weave: Weave,
    path: Annotated[str, typer.Argument(help="OU and name: /acme/engineering/database-password.")],
    kind: Annotated[str, typer.Option(help="What a new one is.")] = "opaque",
    description: Annotated[str, typer.Option(help="What a new one is for.")] = "",
) -> None:
    """Keep a secret, or replace its value. The value comes from standard input: weave secret set PATH < file"""
    where, _, name = path.rpartition("/")
    if not where or not name:
        raise Failed(f"Name the OU and the secret, as in /acme/engineering/{name or 'token'}.", USAGE)
    ou = kinds.ou_of(weave.api, where)
    there = next((one for one in weave.api.rows("/secrets", ou_id=ou["id"]) if one["name"] == name), None)
    value = _value()
    if there:
        kept = weave.api.post(f"/secrets/{there['id']}/rotate", {"value": value})
    else:
        body = {"name": name, "ou_id": ou["id"], "kind": kind, "description": description, "value": value}
        kept = weave.api.post("/secrets", body)
    weave.screen.say(f"Kept {path}, version {kept['version']}.")
    if not weave.screen.is_for_people:
        weave.screen.data(kept)


def _value() -> str:
    """Return the value; one line break at its end is the shell's, not the secret's."""
    if sys.stdin.isatty():
        typed: str = typer.prompt("Value", hide_input=True, err=True)
        return typed
    value = sys.stdin.read()
    value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise Failed("Standard input was empty: there is no value to keep.", USAGE)
    return value
