"""Profiles: which server, as whom. One file, readable by its owner alone, because it holds tokens.

`WEAVE_PROFILE` chooses one, `WEAVE_URL` and `WEAVE_TOKEN` take the place of what it says, `WEAVE_HOME` is the folder
(`~/.config/weave`).
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any  # JSON
from urllib.parse import urlsplit

DEFAULT = "default"
FILE = "profiles.json"
OWNER_ONLY = 0o600


class BadProfiles(Exception):
    """The file cannot be used; the words say what to do."""


@dataclass(frozen=True)
class Profile:
    """A server and a sign-in there. `url` is the base of its API; `token_id` is set when the token is this client's
    own, so that signing out revokes it.
    """

    name: str
    url: str = ""
    token: str = field(default="", repr=False)
    email: str = ""
    token_id: str = ""


@dataclass(frozen=True)
class Profiles:
    """All profiles, and the one that is used when nothing is said."""

    current: str = DEFAULT
    named: Mapping[str, Profile] = field(default_factory=dict)

    def choose(self, name: str | None) -> Profile:
        """Return a profile, an empty one when there is none of this name; the environment has the last word."""
        chosen = name or os.environ.get("WEAVE_PROFILE") or self.current
        profile = self.named.get(chosen, Profile(chosen))
        url, token = os.environ.get("WEAVE_URL"), os.environ.get("WEAVE_TOKEN")
        if token:
            profile = replace(profile, token=token, token_id="", email="")
        elif url and _origin(url) != _origin(profile.url):  # a kept token is for the server that gave it alone
            profile = replace(profile, token="", token_id="", email="")
        return replace(profile, url=url) if url else profile

    def keeping(self, profile: Profile) -> Profiles:
        """Return them with this one, which becomes the current one when it is the first."""
        current = self.current if self.named else profile.name
        return Profiles(current, {**self.named, profile.name: profile})

    def without(self, name: str) -> Profiles:
        """Return them without this one."""
        left = {other: profile for other, profile in self.named.items() if other != name}
        current = self.current if self.current != name else next(iter(left), DEFAULT)
        return Profiles(current, left)


def folder() -> Path:
    """Return where the file lies."""
    if home := os.environ.get("WEAVE_HOME"):
        return Path(home).expanduser()
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "weave"


def load() -> Profiles:
    """Return what is kept. A file that others may read is closed to them first. Raises `BadProfiles`."""
    path = folder() / FILE
    try:
        with path.open(encoding="utf-8") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & ~OWNER_ONLY:
                os.fchmod(file.fileno(), OWNER_ONLY)
            kept: dict[str, Any] = json.load(file)
        named = {name: Profile(name, **fields) for name, fields in kept["profiles"].items()}
        return Profiles(kept["current"], named)
    except FileNotFoundError:
        return Profiles()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadProfiles(f"{path} cannot be read ({type(error).__name__}). Repair it, or remove it.") from error


def save(profiles: Profiles) -> None:
    """Keep them: the old file or the new one, never half of it, and never open to others. Raises `BadProfiles`."""
    kept = {
        "current": profiles.current,
        "profiles": {name: _fields(profile) for name, profile in profiles.named.items()},
    }
    home = folder()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=".profiles-", dir=home)  # made with mode 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(kept, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(home / FILE)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise BadProfiles(f"{home / FILE} cannot be written: {error.strerror}.") from error


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url if "//" in url else f"https://{url}")
    return parts.scheme, parts.netloc.lower()


def _fields(profile: Profile) -> dict[str, str]:
    return {name: value for name, value in asdict(profile).items() if name != "name" and value}
