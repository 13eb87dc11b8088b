"""`weave plan`, `apply`, `destroy` and `export`: a manifest is planned and applied by the server, as one set."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any  # Any: JSON

import typer

from powerloom.cli import files, kinds, sources, waiting
from powerloom.cli.client import HeldForApproval, Refused
from powerloom.cli.held import told
from powerloom.cli.planned import has_changes, is_refused, show_outcome, show_plan, show_problems
from powerloom.cli.sources import Sources
from powerloom.cli.text import clean
from powerloom.cli.verbs import CHANGES, FAILED, HELD, USAGE, Failed, Weave
from powerloom.cli.waiting import Look

Files = Annotated[list[str], typer.Argument(help="Files or folders of YAML or JSON; - is standard input.")]
Set = Annotated[
    str | None,
    typer.Option("--set", help="The name of the set that these manifests are: it remembers what belongs to it."),
]
Prune = Annotated[bool, typer.Option("--prune", help="With --set: take away what is no longer in the manifests.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def plan(weave: Weave, files: Files, name: Set = None, prune: Prune = False) -> None:
    """Say what a manifest would do, and change nothing.

    Ends with 0 when nothing would change, with 2 when something would, with 1 when something is refused.
    """
    given = sources.read(files)
    with _problems_shown(weave, given):
        planned = weave.api.send_text("/manifests/plan", given.text, **_asked(name, prune=prune))
    _show(weave, planned, given)
    if is_refused(planned):
        raise typer.Exit(FAILED)
    if has_changes(planned):
        raise typer.Exit(CHANGES)


def apply(
    weave: Weave,
    files: Files,
    name: Set = None,
    prune: Prune = False,
    yes: Yes = False,
    wait: Annotated[bool, typer.Option("--wait", help="Return once all of it is live.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds that --wait waits.")] = waiting.PATIENCE,
    best_effort: Annotated[bool, typer.Option("--best-effort", help="Apply each document by itself.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a foreign server that does not answer.")] = False,
) -> None:
    """Apply a manifest as one set: all of it, or nothing.

    Ends with 3 when an approval policy holds it; nothing is changed then. On a terminal it shows the plan and asks.
    """
    given = sources.read(files)
    meant = _asked(name, prune=prune)
    if not yes and _asks(files):
        with _problems_shown(weave, given):
            planned = weave.api.send_text("/manifests/plan", given.text, **meant)
        show_plan(weave.screen, planned, given)
        if has_changes(planned):
            typer.confirm("Apply it?", abort=True, err=True)
    _carry_out(weave, "/manifests/apply", given, **meant, **_asked(best_effort=best_effort, strict=strict))
    if wait:
        _await_live(weave, given, timeout)


def destroy(weave: Weave, files: Files, name: Set = None, yes: Yes = False) -> None:
    """Take away what a manifest names, what rests on others first, as one set.

    What is not there is left alone. Without --yes it shows what would go and asks.
    """
    given = sources.read(files)
    if not yes:
        if not _asks(files):
            raise Failed("Destroying asks first, and nobody is there to answer. Say --yes.", USAGE)
        with _problems_shown(weave, given):
            planned = weave.api.send_text("/manifests/destroy", given.text, dry_run="true", **_asked(name))
        show_plan(weave.screen, planned, given)
        typer.confirm("Destroy it?", abort=True, err=True)
    _carry_out(weave, "/manifests/destroy", given, **_asked(name))


def export(
    weave: Weave,
    ou: Annotated[str, typer.Argument(help="The OU at the top, by its path.")],
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Write it there instead of showing it.")] = None,
) -> None:
    """Write a subtree as a manifest that plans as no change. It never holds a secret."""
    text = weave.api.text("/manifests/export", ou=ou)
    if file is not None:
        files.write(file, [text.encode()])
        weave.screen.note(f"Wrote {file}.")
        return
    sys.stdout.write(clean(text) if sys.stdout.isatty() else text)


def _carry_out(weave: Weave, path: str, given: Sources, **how: str) -> None:
    """Send it and show what came of it. Ends the program where a part is held or has failed."""
    try:
        with _problems_shown(weave, given):
            outcome = weave.api.send_text(path, given.text, **how)
    except HeldForApproval as held:
        if weave.screen.is_for_people:
            show_outcome(weave.screen, held.body, given)
        raise
    if weave.screen.is_for_people:
        show_outcome(weave.screen, outcome, given)
    else:
        weave.screen.data(outcome)
    statuses = {row["status"] for row in outcome["resources"]}
    for row in outcome["resources"]:
        if row["status"] == "held" and row.get("request"):
            told(weave.screen, row["request"])
    if statuses & {"failed", "denied"}:
        raise typer.Exit(FAILED)
    if "held" in statuses:
        raise typer.Exit(HELD)


@contextmanager
def _problems_shown(weave: Weave, given: Sources) -> Iterator[None]:
    """Where the server says what is wrong with which line, say it with the file's name."""
    try:
        yield
    except Refused as refused:
        problems = refused.detail.get("problems")
        if not problems or not all("line" in problem for problem in problems):
            raise
        show_problems(weave.screen, problems, given)
        raise typer.Exit(FAILED) from refused


def _await_live(weave: Weave, given: Sources, timeout: float) -> None:
    """Wait for what has a life of its own: deployments first, then the agents that use them."""
    planned = weave.api.send_text("/manifests/plan", given.text)
    looks = {"MCPDeployment": ("mcp-deployment", deployed), "Agent": ("agent", live)}
    for kind, (word, look) in looks.items():
        for row in planned["resources"]:
            if row["kind"] == kind:
                found = kinds.find(weave.api, word, row["address"])
                waiting.until(weave.screen, row["address"], partial(look, weave, found["id"]), within=timeout)
    weave.screen.note("All of it is live.")


def deployed(weave: Weave, deployment_id: str) -> Look:
    """Look whether a deployment runs. Raises `Failed` when it never will by itself."""
    found = weave.api.get(f"/mcp-deployments/{deployment_id}")
    if found["status"] == "failed":
        raise Failed(f"{found['name']} could not be deployed: {found['status_reason']}")
    return Look(found["status"] == "running", found["status_reason"] or found["status"])


def live(weave: Weave, agent_id: str) -> Look:
    """Look whether an agent is live. Raises `Failed` when somebody must act first."""
    sync = weave.api.get(f"/agents/{agent_id}/sync-status")
    if sync["status"] == "parked":
        raise Failed(
            f"The agent is parked: {sync['why'] or sync['last_error']}. Then: weave sync reset agent {agent_id}"
        )
    return Look(sync["live"], f"{sync['status']}: {sync['why']}")


def _show(weave: Weave, planned: dict[str, Any], given: Sources) -> None:
    if weave.screen.is_for_people:
        show_plan(weave.screen, planned, given)
    else:
        weave.screen.data(planned)


def _asked(name: str | None = None, **flags: bool) -> dict[str, str]:
    """Return a query of what was asked for alone."""
    meant = {"set": name} if name is not None else {}
    return meant | {flag: "true" for flag, is_on in flags.items() if is_on}


def _asks(files: list[str]) -> bool:
    return sys.stdin.isatty() and sources.STDIN not in files
