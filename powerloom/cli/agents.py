"""`weave agent`: where an agent stands, its versions, and an old one made the newest."""

from __future__ import annotations

from typing import Annotated

import typer

from powerloom.cli import kinds, manifests, waiting
from powerloom.cli.render import moment
from powerloom.cli.verbs import Weave, noun, verb

app = noun("agent", "Agents: where they stand, their versions.")

Agent = Annotated[str, typer.Argument(help="By id, path or name.")]

VERSIONS = (
    ("version", "number"),
    ("by", "author_ref"),
    moment("created_at"),
    ("restored from", "restored_from"),
    ("on CMA as", "cma_version"),
)


@verb(app)
def status(
    weave: Weave,
    agent: Agent,
    wait: Annotated[bool, typer.Option("--wait", help="Return once it is live.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds that --wait waits.")] = waiting.PATIENCE,
) -> None:
    """Say where an agent stands, and what keeps it from being live."""
    found = kinds.find(weave.api, "agent", agent)
    if wait:
        waiting.until(weave.screen, found["name"], lambda: manifests.live(weave, found["id"]), within=timeout)
    sync = weave.api.get(f"/agents/{found['id']}/sync-status")
    weave.screen.record(sync, first=("status", "live", "why"))


@verb(app)
def versions(weave: Weave, agent: Agent) -> None:
    """List an agent's versions, the newest first."""
    found = kinds.find(weave.api, "agent", agent)
    weave.screen.rows(weave.api.rows(f"/agents/{found['id']}/versions"), VERSIONS, none="There is no version.")


@verb(app)
def restore(
    weave: Weave, agent: Agent, number: Annotated[int, typer.Argument(min=1, help="The version to go back to.")]
) -> None:
    """Make an old version the newest."""
    found = kinds.find(weave.api, "agent", agent)
    restored = weave.api.post(f"/agents/{found['id']}/versions/{number}/restore")
    weave.screen.say(f"{restored['name']} is at version {restored['version']}, made from version {number}.")
    if not weave.screen.is_for_people:
        weave.screen.data(restored)
