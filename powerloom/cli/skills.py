"""`weave skill`: upload a version from an archive or a folder, and activate one."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Annotated, Any  # Any: JSON

import typer

from powerloom.cli import kinds
from powerloom.cli.verbs import USAGE, Failed, Weave, noun, verb

app = noun("skill", "Skills: upload a version, activate it.")
FIRST_TIME = (1980, 1, 1, 0, 0, 0)  # the oldest that zip knows; the same folder is the same archive

Skill = Annotated[str, typer.Argument(help="By id, path or name.")]


@verb(app)
def upload(
    weave: Weave,
    skill: Skill,
    archive: Annotated[Path, typer.Argument(exists=True, help="A zip or tar.gz, or a folder, with SKILL.md in it.")],
    activate: Annotated[bool, typer.Option("--activate", help="Let agents use it from now on.")] = False,
) -> None:
    """Upload a version of a skill. Agents use it once it is activated."""
    found = kinds.find(weave.api, "skill", skill)
    name, content = (f"{archive.name}.zip", _zipped(archive)) if archive.is_dir() else (archive.name, _read(archive))
    version = weave.api.upload(f"/skills/{found['id']}/versions", name, content)
    weave.screen.say(f"Version {version['number']} of {found['name']}: {version['size_bytes']} bytes.")
    if activate:
        _activate(weave, found, version)
    else:
        weave.screen.note(f"Agents use it after: weave skill activate {found['id']} {version['number']}")
    if not weave.screen.is_for_people:
        weave.screen.data(version)


@verb(app, "activate")
def activate_version(
    weave: Weave,
    skill: Skill,
    number: Annotated[int | None, typer.Argument(min=1, help="The version; else the newest.")] = None,
) -> None:
    """Let agents use a version from now on."""
    found = kinds.find(weave.api, "skill", skill)
    versions = weave.api.rows(f"/skills/{found['id']}/versions")
    chosen = next((one for one in versions if number in {None, one["number"]}), None)
    if chosen is None:
        there = ", ".join(str(one["number"]) for one in versions) or "none; upload one first"
        raise Failed(f"There is no such version of {found['name']}. There are: {there}.")
    activated = _activate(weave, found, chosen)
    if not weave.screen.is_for_people:
        weave.screen.data(activated)


def _activate(weave: Weave, skill: dict[str, Any], version: dict[str, Any]) -> Any:
    activated = weave.api.patch(f"/skills/{skill['id']}", {"current_version_id": version["id"]})
    weave.screen.say(f"Version {version['number']} of {skill['name']} is active.")
    return activated


def _read(archive: Path) -> bytes:
    try:
        return archive.read_bytes()
    except OSError as error:
        raise Failed(f"{archive} cannot be read: {error.strerror}.", USAGE) from error


def _zipped(folder: Path) -> bytes:
    """Return the folder's regular files as an archive; links are left where they are."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not file.is_symlink():
                entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), FIRST_TIME)
                entry.external_attr = (file.stat().st_mode & 0o777) << 16
                archive.writestr(entry, file.read_bytes())
    return made.getvalue()
