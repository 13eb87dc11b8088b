"""The calls to CMA that Powerloom makes, by resource, in CMA's own words.

Thin on purpose: documents go in and out as CMA's JSON. Paging, back-off, adoption and comparison belong to the caller;
no call is ever repeated here. Every method raises `powerloom.cma.errors.CMAError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from powerloom.cma.types import JSON, Files, Page
    from powerloom.cma.wire import Wire

NO_BETA: dict[str, str] = {}
"""Skills are no longer behind a beta header."""


class CMA:
    """An async client of one CMA account (or of the local runtime); close it, or use it as a context manager.

    `timeout` is for one request; streams have none but the silence limit of `powerloom.cma.wire`.
    """

    def __init__(self, *, base_url: str, api_key: str, timeout: float = 60.0) -> None:
        from powerloom.cma.wire import Wire  # noqa: PLC0415 - importing the SDK takes 1.8 s; only users of CMA pay it

        self._wire = Wire(base_url=base_url, api_key=api_key, timeout=timeout)
        self.agents = Agents(self._wire)
        self.environments = Environments(self._wire)
        self.skills = Skills(self._wire)
        self.vaults = Vaults(self._wire)
        self.credentials = Credentials(self._wire)
        self.sessions = Sessions(self._wire)
        self.events = Events(self._wire)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; open streams end."""
        await self._wire.close()


class Resource:
    """What all resources share: where they live, and how a path is made."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire


class Documents(Resource):
    """Verbs that agents, environments, sessions and vaults have in common."""

    root: str

    async def create(self, body: JSON) -> JSON:
        """Create one; not idempotent."""
        return await self._wire.post(_path(self.root), body)

    async def retrieve(self, id: str) -> JSON:
        """Read one."""
        return await self._wire.get(_path(self.root, id))

    async def update(self, id: str, body: JSON) -> JSON:
        """Change one; what `body` leaves out stays."""
        return await self._wire.post(_path(self.root, id), body)

    async def archive(self, id: str) -> JSON:
        """Put one out of use for good."""
        return await self._wire.post(_path(self.root, id, "archive"))


class Deletable(Documents):
    """Documents that can be removed, too."""

    async def delete(self, id: str) -> JSON:
        """Remove one."""
        return await self._wire.delete(_path(self.root, id))


class Agents(Documents):
    """Agents and their versions."""

    root = "agents"

    async def retrieve(self, id: str, version: int | None = None) -> JSON:
        """Read one, at `version` or at its newest."""
        return await self._wire.get(_path(self.root, id), {"version": version})

    async def list(
        self,
        limit: int = 100,
        page: str | None = None,
        *,
        created_since: str | None = None,
        include_archived: bool = False,
    ) -> Page:
        """One page of agents, newest first; `created_since` is an RFC 3339 time."""
        return await self._wire.page(
            _path(self.root),
            {"limit": limit, "page": page, "created_at[gte]": created_since, "include_archived": include_archived},
        )

    async def versions(self, id: str, limit: int = 100, page: str | None = None) -> Page:
        """One page of an agent's versions, newest first."""
        return await self._wire.page(_path(self.root, id, "versions"), {"limit": limit, "page": page})


class Environments(Deletable):
    """Environments, in which sessions run."""

    root = "environments"

    async def list(self, limit: int = 100, page: str | None = None, *, include_archived: bool = False) -> Page:
        """One page of environments, newest first."""
        return await self._wire.page(
            _path(self.root), {"limit": limit, "page": page, "include_archived": include_archived}
        )


class Vaults(Deletable):
    """Vaults, each a set of credentials."""

    root = "vaults"

    async def list(self, limit: int = 100, page: str | None = None, *, include_archived: bool = False) -> Page:
        """One page of vaults, newest first."""
        return await self._wire.page(
            _path(self.root), {"limit": limit, "page": page, "include_archived": include_archived}
        )


class Credentials(Resource):
    """Credentials of a vault. Their secrets go in and never come out."""

    async def create(self, vault_id: str, body: JSON) -> JSON:
        """Create one; 409 when the vault already has one for that server or variable."""
        return await self._wire.post(_path("vaults", vault_id, "credentials"), body)

    async def retrieve(self, vault_id: str, id: str) -> JSON:
        """Read one."""
        return await self._wire.get(_path("vaults", vault_id, "credentials", id))

    async def update(self, vault_id: str, id: str, body: JSON) -> JSON:
        """Change one; its type, server and variable name stay."""
        return await self._wire.post(_path("vaults", vault_id, "credentials", id), body)

    async def archive(self, vault_id: str, id: str) -> JSON:
        """Purge its secret and keep its record."""
        return await self._wire.post(_path("vaults", vault_id, "credentials", id, "archive"))

    async def delete(self, vault_id: str, id: str) -> JSON:
        """Remove one."""
        return await self._wire.delete(_path("vaults", vault_id, "credentials", id))

    async def list(
        self, vault_id: str, limit: int = 100, page: str | None = None, *, include_archived: bool = False
    ) -> Page:
        """One page of a vault's credentials, newest first."""
        return await self._wire.page(
            _path("vaults", vault_id, "credentials"),
            {"limit": limit, "page": page, "include_archived": include_archived},
        )


class Skills(Resource):
    """Skills; their content lives in `versions`."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire)
        self.versions = SkillVersions(wire)

    async def create(self, display_name: str, files: Files) -> JSON:
        """Create a skill with its first version."""
        return await self._wire.upload(_path("skills"), {"display_name": display_name}, files)

    async def retrieve(self, id: str) -> JSON:
        """Read one."""
        return await self._wire.get(_path("skills", id), headers=NO_BETA)

    async def list(self, page: str | None = None, *, source: str | None = "custom", limit: int = 1000) -> Page:
        """One page of skills, newest first; `source` is `custom`, `anthropic` or None for both."""
        return await self._wire.page(_path("skills"), {"limit": limit, "page": page, "source": source}, headers=NO_BETA)

    async def delete(self, id: str) -> JSON:
        """Remove a skill with all its versions."""
        return await self._wire.delete(_path("skills", id), headers=NO_BETA)


class SkillVersions(Resource):
    """Versions of a skill: immutable."""

    async def create(self, skill_id: str, files: Files) -> JSON:
        """Add a version."""
        return await self._wire.upload(_path("skills", skill_id, "versions"), {}, files)

    async def retrieve(self, skill_id: str, version: str) -> JSON:
        """Read one by id, or `latest`."""
        return await self._wire.get(_path("skills", skill_id, "versions", version), headers=NO_BETA)

    async def list(self, skill_id: str, page: str | None = None, *, limit: int = 1000) -> Page:
        """One page of versions, newest first."""
        return await self._wire.page(
            _path("skills", skill_id, "versions"), {"limit": limit, "page": page}, headers=NO_BETA
        )

    async def content(self, skill_id: str, version: str) -> bytes:
        """Its files, as a zip."""
        return await self._wire.content(_path("skills", skill_id, "versions", version, "content"))

    async def delete(self, skill_id: str, version: str) -> JSON:
        """Remove one version."""
        return await self._wire.delete(_path("skills", skill_id, "versions", version), headers=NO_BETA)


class Sessions(Deletable):
    """Sessions: runs of agents."""

    root = "sessions"

    async def list(
        self,
        limit: int = 100,
        page: str | None = None,
        *,
        agent_id: str | None = None,
        agent_version: int | None = None,
        statuses: Sequence[str] | None = None,
        order: str | None = None,
        include_archived: bool = False,
    ) -> Page:
        """One page of sessions, newest first unless `order` is `asc`."""
        return await self._wire.page(
            _path(self.root),
            {
                "limit": limit,
                "page": page,
                "agent_id": agent_id,
                "agent_version": agent_version,
                "statuses": list(statuses) if statuses else None,
                "order": order,
                "include_archived": include_archived,
            },
        )


class Events(Resource):
    """What goes into a session and what comes out of it."""

    async def send(self, session_id: str, events: list[JSON]) -> list[JSON]:
        """Send events; gives them back with their ids."""
        answer = await self._wire.post(_path("sessions", session_id, "events"), {"events": events})
        sent: list[JSON] = answer["data"]
        return sent

    async def list(self, session_id: str, page: str | None = None, limit: int = 1000, order: str = "asc") -> Page:
        """One page of events, oldest first. A queued input is among them with `processed_at` null."""
        return await self._wire.page(
            _path("sessions", session_id, "events"), {"limit": limit, "page": page, "order": order}
        )

    def stream(self, session_id: str) -> AbstractAsyncContextManager[AsyncIterator[JSON]]:
        """Live events from now on. On entry CMA already listens for us, so nothing sent afterwards is missed."""
        return self._wire.stream(_path("sessions", session_id, "events", "stream"))


def _path(*parts: str) -> str:
    """`/v1/…` of these parts, each escaped, so that an id can never reach another route."""
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)
