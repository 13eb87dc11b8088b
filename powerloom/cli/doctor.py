"""`weave doctor`: everything that must be right before another verb can work, each with what to do."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any  # JSON

import typer

from powerloom import __version__
from powerloom.cli import profiles
from powerloom.cli.client import Client, Refused, Unreachable
from powerloom.cli.verbs import FAILED, Weave

OK, WARN, FAIL = "ok", "warn", "fail"
CONTRACT = "2."  # major version of the API's contract that this client speaks

Check = dict[str, str]


def doctor(weave: Weave) -> None:
    """Look at profile, server, sign-in and rights, and say what to do. Ends with 1 when something fails."""
    checks = list(_checks(weave))
    columns = (("check", "check"), ("status", "status"), ("", "words"))
    weave.screen.rows(checks, columns, none="")
    if any(check["status"] == FAIL for check in checks):
        raise typer.Exit(FAILED)


def _checks(weave: Weave) -> Iterator[Check]:
    yield _check("client", OK, f"weave {__version__}")
    yield _on_path()
    profile = weave.profile
    if not profile.url:
        yield _check("profile", FAIL, f"{profile.name} names no server. Sign in: weave login --url https://…")
        return
    yield _check("profile", OK, f"{profile.name}: {profile.email or 'nobody yet'} at {profile.url}")
    yield _file()
    api = Client(profile.url, profile.token)
    try:
        yield _server(api.get("/capabilities"))
        yield from _sign_in(api) if profile.token else [_check("sign-in", FAIL, "No token. Sign in: weave login")]
    except Unreachable as error:
        yield _check("server", FAIL, str(error))
    except Refused as refused:
        yield _check("server", FAIL, refused.message)


def _on_path() -> Check:
    found = shutil.which("weave")
    return _check("path", OK, found) if found else _check("path", WARN, "weave is not on your PATH.")


def _file() -> Check:
    path = profiles.folder() / profiles.FILE
    if not path.exists():
        return _check("tokens", OK, "from the environment")
    mode = stat.S_IMODE(path.stat().st_mode)
    is_closed = mode == profiles.OWNER_ONLY
    return _check(
        "tokens", OK if is_closed else FAIL, f"{path} has mode {mode:04o}{'' if is_closed else ': make it 0600'}"
    )


def _server(found: dict[str, Any]) -> Check:
    contract = str(found["api_contract_version"])
    words = f"Powerloom {found['server_version']}, contract {contract}"
    if contract.startswith(CONTRACT):
        return _check("server", OK, words)
    return _check("server", FAIL, f"{words}: this client speaks {CONTRACT}x. Update it.")


def _sign_in(api: Client) -> Iterator[Check]:
    try:
        me = api.get("/me")
    except Refused as refused:
        yield _check("sign-in", FAIL, f"{refused.message} Sign in again: weave login")
        return
    yield _check("sign-in", OK, f"{me['email'] or me['name']} of {me['organization_name']}")
    yield from _tokens(api)
    waiting = len(api.rows("/approvals", most=100, tab="to_approve"))
    yield _check(
        "inbox", OK, f"{waiting} requests wait for you: weave approval list" if waiting else "nothing waits for you"
    )


def _tokens(api: Client) -> Iterator[Check]:
    """Warn of one's own tokens that end within a week, before what uses them stops."""
    try:
        found = api.rows("/users/me/personal-access-tokens")
    except Refused:
        return  # a token that was narrowed to other things
    now = datetime.now(UTC)
    for token in found:
        if token["revoked_at"] is None and token["expires_at"]:
            left = (datetime.fromisoformat(token["expires_at"]) - now).days
            if 0 <= left < 7:
                yield _check("tokens", WARN, f"{token['name']} ({token['token_prefix']}…) ends in {left} days.")


def _check(name: str, status: str, words: str) -> Check:
    return {"check": name, "status": status, "words": words}
