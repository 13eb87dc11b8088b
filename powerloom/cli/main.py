"""`weave`: everything that the API can do, from a shell.

    weave login --dev            weave plan agents/           weave ask code-reviewer "Review PR #42."
    weave get agents             weave apply agents/ --wait   weave session tail ID

Exit status: 0 done, 1 refused or failed, 2 wrong usage (and of `plan`: something would change), 3 held for approval.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from powerloom import __version__
from powerloom.cli import (
    access,
    agents,
    approvals,
    audit,
    doctor,
    login,
    manifests,
    secrets,
    sessions,
    skills,
    sync,
    talk,
    things,
)
from powerloom.cli.client import HeldForApproval, Refused, Unreachable
from powerloom.cli.held import told
from powerloom.cli.profiles import BadProfiles
from powerloom.cli.render import Format, Screen
from powerloom.cli.verbs import FAILED, HELD, Failed, Weave, verb

INTERRUPTED = 130

app = typer.Typer(
    name="weave",
    help=__doc__.partition("\n\n")[0].replace("`weave`: e", "E") if __doc__ else None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"weave {__version__}")
        raise typer.Exit


@app.callback()
def begin(
    ctx: typer.Context,
    profile: Annotated[
        str | None, typer.Option("--profile", "-p", help="Which profile; else WEAVE_PROFILE, else the current one.")
    ] = None,
    output: Annotated[Format, typer.Option("--output", "-o", help="How results are shown.")] = Format.TABLE,
    justification: Annotated[
        str, typer.Option(envvar="WEAVE_JUSTIFICATION", help="Why, where an approval policy wants to know.")
    ] = "",
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which.")] = False,
) -> None:
    """Everything that the API can do, from a shell."""
    ctx.obj = Weave(profile, Screen(output), justification)


for name, function in (
    ("login", login.login),
    ("logout", login.logout),
    ("whoami", login.whoami),
    ("plan", manifests.plan),
    ("apply", manifests.apply),
    ("destroy", manifests.destroy),
    ("export", manifests.export),
    ("get", things.get),
    ("describe", things.describe),
    ("invoke", talk.invoke),
    ("ask", talk.ask),
    ("chat", talk.chat),
    ("doctor", doctor.doctor),
):
    verb(app, name)(function)

for module in (sessions, agents, skills, secrets, approvals, audit, access, sync, login):
    app.add_typer(module.app)


def run() -> None:
    """Run the program and end it with its status."""
    screen = Screen()
    try:
        app(prog_name="weave")
    except HeldForApproval as held:
        told(screen, held.request)
        sys.exit(HELD)
    except Refused as refused:
        _refused(screen, refused)
        sys.exit(FAILED)
    except (Unreachable, BadProfiles) as error:
        screen.note(str(error), "red")
        sys.exit(FAILED)
    except Failed as failed:
        screen.note(str(failed), "red")
        sys.exit(failed.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _refused(screen: Screen, refused: Refused) -> None:
    screen.note(refused.message, "red")
    explained = refused.detail.get("explain")
    for remedy in explained.get("remedy", []) if isinstance(explained, dict) else []:
        screen.note(f"What would help: {remedy['text']}", "yellow")
    if refused.status == 401:
        screen.note("Sign in again: weave login", "yellow")
    if refused.status >= 500:
        screen.note(f"Request {refused.request_id}", "dim")
