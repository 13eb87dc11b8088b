"""Finding in the organization what a sentence names: OUs, people, servers, skills. Pure.

A name fits exactly, or as a part of a longer one (`apollo` is `apollo-mcp`); what fits more than one thing is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any  # rows of the tools

from powerloom.cma.local.rehearsal.request import Want

Row = dict[str, Any]
STEM = 6


def flat(ous: Iterable[Row]) -> list[Row]:
    """Return the nodes of a tree of OUs, parents first."""
    return [node for ou in ous for node in (ou, *flat(_rows(ou.get("children"))))]


def units(ous: Sequence[Row], where: str) -> list[Row]:
    """Return the OUs that `where` can mean: a path, the end of one, or a name."""
    wanted = where.lower().strip("/ ")
    if where.startswith("/"):
        return [ou for ou in ous if str(ou["path"]).lower() == f"/{wanted}"]
    ends = [ou for ou in ous if f"/{'-'.join(wanted.split())}" == _end(ou, wanted)]
    return ends or [ou for ou in ous if str(ou["display_name"]).lower() == wanted]


def people(users: Iterable[Row], name: str) -> list[Row]:
    """Return the users of this name: a whole one, one of its words, or the beginning of an address."""
    wanted = name.lower().strip()
    found = [user for user in users if wanted in {str(user["email"]).lower(), str(user["name"]).lower()}]
    if found or not wanted:
        return found
    return [user for user in users if wanted in {*str(user["name"]).lower().split(), _mailbox(user)}]


def things(rows: Iterable[Row], word: str, *, where: str = "") -> list[Row]:
    """Return the servers or skills that the word can mean; of several, those nearest to the OU."""
    rows = list(rows)
    exact = [row for row in rows if word in {row["name"], _slug(row["display_name"])}]
    found = exact or [row for row in rows if word in str(row["name"]).split("-")]
    above = [row for row in found if f"{where}/".startswith(f"{row['ou_path']}/")]
    nearest = max((len(str(row["ou_path"])) for row in above), default=0)
    return [row for row in above if len(str(row["ou_path"])) == nearest] or found


def fitting(skills: Iterable[Row], purpose: str, *, where: str) -> list[Row]:
    """Return the skills in reach of the OU whose description names the purpose: `prospecting` fits `prospects`."""
    stems = {word[:STEM] for word in _words(purpose) if len(word) >= STEM}
    return [
        skill
        for skill in skills
        if skill.get("current_version_id")
        and f"{where}/".startswith(f"{skill['ou_path']}/")
        and stems & {word[:STEM] for word in _words(str(skill.get("description") or "")) if len(word) >= STEM}
    ]


def kinds_of(want: Want) -> tuple[str, ...]:
    """Return where to look for what is wanted."""
    return {"server": ("server",), "skill": ("skill",)}.get(want.kind, ("server", "skill"))


def below(rows: Iterable[Row], path: str, key: str = "ou_path") -> list[Row]:
    """Return the rows in this OU or below it."""
    return [row for row in rows if f"{row.get(key) or ''}/".startswith(f"{path}/")]


def _end(ou: Row, wanted: str) -> str:
    parts = str(ou["path"]).lower().split("/")
    return "/" + "/".join(parts[-1 - wanted.count("/") :])


def _mailbox(user: Row) -> str:
    return str(user["email"]).lower().partition("@")[0]


def _slug(name: object) -> str:
    return "-".join(str(name).lower().split())


def _words(text: str) -> list[str]:
    return "".join(letter if letter.isalnum() else " " for letter in text.lower()).split()


def _rows(value: object) -> list[Row]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
