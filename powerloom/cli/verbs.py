"""What every verb has in common: the chosen profile, the server behind it, the screen, and `-o`.

    agents = noun("agent", "Agents: where they stand, their versions.")

    @verb(agents)
    def status(weave: Weave, agent: AgentName) -> None: ...

A verb's first argument is filled in here, and each verb takes `-o`, before it or behind it.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, get_type_hints  # Any: what typer hands over

import typer

from powerloom.cli import profiles
from powerloom.cli.client import Client, base_of
from powerloom.cli.profiles import Profile
from powerloom.cli.render import Format, Screen

OK, FAILED, USAGE, HELD = 0, 1, 2, 3
CHANGES = 2  # of a plan

Output = Annotated[
    Format | None,
    typer.Option("-o", "--output", help="How results are shown: table, json or yaml.", show_default=False),
]


class Failed(Exception):
    """The verb cannot do what it was asked to; the words say what to do."""

    def __init__(self, words: str, exit_code: int = FAILED) -> None:
        super().__init__(words)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Weave:
    """One call of the program: as whom, where, how it answers."""

    profile_name: str | None = None
    screen: Screen = field(default_factory=Screen)
    justification: str = ""

    @functools.cached_property
    def profile(self) -> Profile:
        chosen = profiles.load().choose(self.profile_name)
        # What the environment names is an address as people write it; a profile keeps where the API was found.
        return replace(chosen, url=base_of(chosen.url)) if os.environ.get("WEAVE_URL") else chosen

    @functools.cached_property
    def api(self) -> Client:
        """The server, signed in. Raises `Failed` when there is no sign-in."""
        profile = self.profile
        if not profile.url or not profile.token:
            flag = f" --profile {profile.name}" if profile.name != profiles.DEFAULT else ""
            where = (
                " at WEAVE_URL, and a profile's token goes to its own server alone"
                if os.environ.get("WEAVE_URL")
                else ""
            )
            raise Failed(f"You are not signed in{where}. Sign in with: weave{flag} login --url https://…")
        return Client(profile.url, profile.token, justification=self.justification)


def noun(name: str, words: str) -> typer.Typer:
    """Return a group of verbs about one thing."""
    return typer.Typer(name=name, help=words, no_args_is_help=True)


def verb(app: typer.Typer, name: str | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a verb; its docstring is its help."""

    def made(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(ctx: typer.Context, *, output: Format | None = None, **given: Any) -> None:
            weave: Weave = ctx.obj
            if output is not None:
                weave = replace(weave, screen=Screen(output))
            function(weave, **given)

        _sign(run, function)
        app.command(name)(run)
        return function

    return made


def _sign(run: Any, function: Callable[..., None]) -> None:
    """Give the wrapper the signature that typer reads: the verb's own, its first argument aside, and `-o`."""
    hints = get_type_hints(function, include_extras=True)
    own = list(inspect.signature(function).parameters.values())[1:]
    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [one.replace(kind=kind, annotation=hints[one.name]) for one in own]
    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    output = inspect.Parameter("output", kind, annotation=Output, default=None)
    run.__signature__ = inspect.Signature([context, *parameters, output])
    run.__annotations__ = {one.name: one.annotation for one in (context, *parameters, output)}
    del run.__wrapped__
