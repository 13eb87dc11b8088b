"""`weave login`, `logout`, `whoami` and `profile`: who one is, and where.

Three ways in: the browser (RFC 8628: it confirms a code that is shown here), a token that somebody pasted, and by name
in development on this machine. A token is never an argument: every program of the machine could read it.
"""

from __future__ import annotations

import socket
import sys
import time
import webbrowser
from dataclasses import replace
from typing import Annotated, Any  # Any: JSON
from urllib.parse import urlsplit

import typer

from powerloom.cli import profiles
from powerloom.cli.client import LOOPBACK, Client, Refused, base_of
from powerloom.cli.profiles import Profile
from powerloom.cli.verbs import USAGE, Failed, Weave, noun, verb

HERE = "http://127.0.0.1:8000"
DEVELOPER = "admin@dev.local"  # whom `make up` makes first
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SLOWER = 5  # seconds more, as RFC 8628 asks

app = noun("profile", "Profiles: which server, as whom.")


def login(
    weave: Weave,
    email: Annotated[str | None, typer.Argument(help=f"With --dev: as whom ({DEVELOPER}).", show_default=False)] = None,
    url: Annotated[str | None, typer.Option(help=f"The server; else the profile's, else {HERE}.")] = None,
    dev: Annotated[bool, typer.Option("--dev", help="By name, in development on this machine.")] = False,
    token: Annotated[bool, typer.Option("--token", help="With a token, typed unseen or from standard input.")] = False,
    scope: Annotated[
        str, typer.Option(help="In the browser: only these actions; '* approval:decide' is all and deciding approvals.")
    ] = "",
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page by itself.")] = True,
) -> None:
    """Sign in: in the browser, unless you say --token or --dev."""
    if dev and token:
        raise Failed("Choose one of --dev and --token.", USAGE)
    if email and not dev:
        raise Failed("An e-mail is for --dev. In the browser, the one who is signed in there confirms.", USAGE)
    base = base_of(url or weave.profile.url or HERE)
    _warn_in_clear(weave, base)
    profile = Profile(weave.profile.name, base)
    if dev:
        answer = Client(base).get("/auth/login", **{"as": email or DEVELOPER})
        profile = replace(profile, token=answer["tokens"]["access_token"])
    elif token:
        profile = replace(profile, token=_pasted())
    else:
        profile = _by_browser(weave, profile, scope, opens=browser)
    me = Client(base, profile.token).get("/me")
    profiles.save(profiles.load().keeping(replace(profile, email=me["email"] or me["name"])))
    weave.screen.say(f"Signed in at {base} as {me['email'] or me['name']} (profile {profile.name}).")
    if not weave.screen.is_for_people:
        weave.screen.data(me)


def logout(weave: Weave) -> None:
    """Sign out: forget the token, and revoke it where this client got it in the browser."""
    profile = profiles.load().named.get(weave.profile.name)
    if profile is None:
        raise Failed(f"There is no profile {weave.profile.name}.")
    if profile.token_id:
        try:
            Client(profile.url, profile.token).delete(f"/users/me/personal-access-tokens/{profile.token_id}")
        except Refused as refused:
            if refused.status != 401:  # it has ended already
                raise
    profiles.save(profiles.load().without(profile.name))
    weave.screen.say(f"Signed out of {profile.url} (profile {profile.name}).")


def whoami(weave: Weave) -> None:
    """Say who you are, and where."""
    me: dict[str, Any] = weave.api.get("/me")
    weave.screen.record({**me, "profile": weave.profile.name, "server": weave.profile.url}, first=("email", "name"))


@verb(app, "list")
def list_profiles(weave: Weave) -> None:
    """List profiles; their tokens are not shown."""
    known = profiles.load()
    rows = [
        {"name": one.name, "current": one.name == known.current, "as": one.email, "server": one.url}
        for one in known.named.values()
    ]
    columns = (("name", "name"), ("current", "current"), ("as", "as"), ("server", "server"))
    weave.screen.rows(rows, columns, none="There is no profile yet. Make one with: weave login")


@verb(app)
def use(weave: Weave, name: Annotated[str, typer.Argument(help="The profile.")]) -> None:
    """Choose the profile that is used when nothing is said."""
    known = profiles.load()
    if name not in known.named:
        raise Failed(f"There is no profile {name}. There are: {', '.join(known.named) or 'none'}.")
    profiles.save(replace(known, current=name))
    weave.screen.say(f"From now on it is {name}, as {known.named[name].email} at {known.named[name].url}.")


def _warn_in_clear(weave: Weave, base: str) -> None:
    parts = urlsplit(base)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        weave.screen.note(f"{base} is not encrypted: whoever is on the way can read your token.", "yellow")


def _pasted() -> str:
    typed = typer.prompt("Token", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline()
    given = str(typed).strip()
    if not given:
        raise Failed("There was no token on standard input.", USAGE)
    return given


def _by_browser(weave: Weave, profile: Profile, scope: str, *, opens: bool) -> Profile:
    """Show a code, wait until somebody confirms it in the browser, and return the profile with its token."""
    api = Client(profile.url)
    fields = {"client_id": "weave", "client_name": f"weave on {socket.gethostname()}"[:100]}
    status, asked = api.form("/auth/device", **fields, **({"scope": scope} if scope else {}))
    if status != 200:
        raise Failed(_refusal(asked))
    weave.screen.note(f"Open {asked['verification_uri']} and confirm this code:", "")
    weave.screen.note(f"\n    {asked['user_code']}\n", "bold")
    is_page = urlsplit(asked["verification_uri_complete"]).scheme in {"http", "https"}
    if opens and is_page and sys.stderr.isatty():
        webbrowser.open(asked["verification_uri_complete"])
    given = _awaited(api, asked)
    return replace(profile, token=given["access_token"], token_id=given.get("token_id", ""))


def _awaited(api: Client, asked: dict[str, Any]) -> dict[str, Any]:
    interval = int(asked.get("interval", SLOWER))
    deadline = time.monotonic() + int(asked["expires_in"])
    while time.monotonic() < deadline:
        time.sleep(interval)
        fields = {"grant_type": GRANT, "client_id": "weave", "device_code": asked["device_code"]}
        status, answer = api.form("/auth/device/token", **fields)
        if status == 200:
            given: dict[str, Any] = answer
            return given
        if answer.get("error") == "slow_down":
            interval += SLOWER
        elif answer.get("error") != "authorization_pending":
            raise Failed(_refusal(answer))
    raise Failed("Nobody confirmed the code in time. Start again: weave login")


def _refusal(answer: Any) -> str:
    """Return the words of a refusal, OAuth's or our own."""
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, dict):
        return str(error.get("message", ""))
    return str(answer.get("error_description") or error or "The server refused to sign you in.")
