"""Agents, skills and their intents as commands leave them, for tests and benches of the reconciler; and a runtime for
them.

    with runtime(tmp_path, settings) as cma:
        agents = make_agents(organization, 3, skill=make_skill(organization))
        engine.tick()
        assert cma.agents()
"""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID
from zipfile import ZipFile

from accounts.models import Organization, Principal, PrincipalKind
from agents.archives import read_package
from agents.kinds import SyncKind
from agents.models import Agent, AgentKind, AgentSkill, AgentVersion, Skill, SkillVersion
from powerloom.cma.client import CMA
from powerloom.cma.local.store import FILE_NAME
from powerloom.kernel.ids import new_id
from powerloom.reconcile import intents
from powerloom.reconcile.models import SyncState
from tests.local_runtime import LocalRuntime, local_runtime
from tests.world import root_of

T = TypeVar("T")

MODEL = "claude-sonnet-5-5"


def make_agents(organization: Organization, count: int = 1, *, skill: Skill | None = None, **spec: Any) -> list[Agent]:
    """Declare agents with their first version, and the environment they share; each due."""
    root = root_of(organization)
    owner, _ = Principal.objects.get_or_create(
        id=organization.id, defaults={"organization": organization, "kind": PrincipalKind.OU, "ref": f"ou:{root.path}"}
    )
    ids = [new_id() for _ in range(count)]
    agents = [
        Agent(
            id=id_,
            organization=organization,
            ou=root,
            name=f"agent-{id_.hex[-12:]}",
            display_name=f"Agent {number}",
            agent_kind=AgentKind.USER,
            owner_principal=owner,
        )
        for number, id_ in enumerate(ids)
    ]
    Agent.objects.bulk_create(agents)
    skills = [{"skill_id": str(skill.id), "skill_version_id": None}] if skill else []
    AgentVersion.objects.bulk_create(
        AgentVersion(
            agent=agent, number=1, spec=make_spec(agent.display_name, skills=skills, **spec), author_ref="user:t"
        )
        for agent in agents
    )
    if skill:
        AgentSkill.objects.bulk_create(AgentSkill(agent=agent, skill=skill) for agent in agents)
    intents.declare(SyncKind.ENVIRONMENT, [organization.id], organization_id=organization.id)
    intents.declare(SyncKind.AGENT, ids, organization_id=organization.id)
    return agents


def make_spec(display_name: str = "Reviewer", **spec: Any) -> dict[str, Any]:
    """The spec of a plain agent, with what is said instead."""
    return {"display_name": display_name, "model": MODEL, "system_prompt": "Review what you are given.", **spec}


def change_agent(agent: Agent, **spec: Any) -> AgentVersion:
    """Write a further version with these changes, as a command would."""
    before = AgentVersion.objects.get(agent=agent, number=agent.version)
    version = AgentVersion.objects.create(
        agent=agent, number=agent.version + 1, spec={**before.spec, **spec}, author_ref="user:t"
    )
    agent.version += 1
    agent.save(update_fields=["version"])
    intents.mark_stale(SyncKind.AGENT, [agent.id])
    return version


def make_skill(organization: Organization, name: str = "python-lint") -> Skill:
    """Declare a skill without a version."""
    return Skill.objects.create(organization=organization, ou=root_of(organization), name=name, display_name=name)


def add_version(skill: Skill, text: str = "Lint it.", *, activate: bool = True) -> SkillVersion:
    """Upload a version, and make it the current one."""
    package = read_package(zipped({"SKILL.md": f"---\nname: {skill.name}\ndescription: Lints\n---\n{text}\n"}))
    version = SkillVersion.objects.create(
        skill=skill,
        number=skill.versions.count() + 1,
        name=package.name,
        description=package.description,
        sha256=package.sha256,
        size_bytes=package.size_bytes,
        archive=package.archive,
        author_ref="user:t",
    )
    if version.number == 1:
        intents.declare(SyncKind.SKILL, [skill.id], organization_id=skill.organization_id)
    intents.declare(SyncKind.SKILL_VERSION, [version.id], organization_id=skill.organization_id)
    if activate:
        skill.current_version = version
        skill.save(update_fields=["current_version"])
        intents.mark_stale(SyncKind.AGENT, AgentSkill.objects.filter(skill=skill).values_list("agent_id", flat=True))
    return version


def zipped(files: dict[str, str]) -> bytes:
    buffer = BytesIO()
    with ZipFile(buffer, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return buffer.getvalue()


def state(kind: str, object_id: UUID) -> SyncState:
    """The reconciler's row of an object, as it is now."""
    return SyncState.objects.get(kind=kind, object_id=object_id)


@dataclass
class Runtime:
    """A local runtime, and what is on it."""

    process: LocalRuntime

    @property
    def faults(self) -> Any:
        return self.process.faults

    def ask(self, question: Callable[[CMA], Awaitable[T]]) -> T:
        """Ask it with a client of its own: what another hand would see, or do."""

        async def asked() -> T:
            async with CMA(base_url=self.process.url, api_key=self.process.key) as cma:
                return await question(cma)

        return asyncio.run(asked())

    def agents(self) -> list[dict[str, Any]]:
        """Every live agent, newest first."""
        return self._all(lambda cma, page: cma.agents.list(page=page))

    def environments(self) -> list[dict[str, Any]]:
        return self._all(lambda cma, page: cma.environments.list(page=page))

    def skills(self) -> list[dict[str, Any]]:
        return self._all(lambda cma, page: cma.skills.list(page))

    def versions(self, skill_id: str) -> list[dict[str, Any]]:
        return self._all(lambda cma, page: cma.skills.versions.list(skill_id, page))

    def vaults(self) -> list[dict[str, Any]]:
        """Every live vault, newest first."""
        return self._all(lambda cma, page: cma.vaults.list(page=page))

    def credentials(self, vault_id: str) -> list[dict[str, Any]]:
        """Every live credential of a vault, newest first."""
        return self._all(lambda cma, page: cma.credentials.list(vault_id, page=page))

    def token(self, credential_id: str) -> str | None:
        """The token that a credential holds, which no call ever tells: read from the runtime's own file."""
        with closing(sqlite3.connect(self.process.data / FILE_NAME, timeout=20)) as file:
            row = file.execute("SELECT secret FROM document WHERE id = ?", (credential_id,)).fetchone()
        return json.loads(row[0])["token"] if row and row[0] else None

    def clear(self) -> None:
        """Take everything off it, for the next test."""
        self.faults.clear()
        agents, environments, skills = self.agents(), self.environments(), self.skills()
        vaults = self.vaults()

        async def away(cma: CMA) -> None:
            for agent in agents:
                await cma.agents.archive(agent["id"])
            for environment in environments:
                await cma.environments.delete(environment["id"])
            for skill in skills:
                await cma.skills.delete(skill["id"])
            for vault in vaults:
                await cma.vaults.delete(vault["id"])

        self.ask(away)

    def _all(self, listing: Callable[[CMA, str | None], Awaitable[Any]]) -> list[dict[str, Any]]:
        async def every(cma: CMA) -> list[dict[str, Any]]:
            found, page = [], None
            while True:
                answer = await listing(cma, page)
                found += answer.data
                if answer.next_page is None:
                    return found
                page = answer.next_page

        return self.ask(every)


@contextmanager
def runtime(data: Path, settings: Any, *flags: str) -> Iterator[Runtime]:
    """A runtime to which the settings point for as long as the context lasts."""
    with local_runtime(data, "--pace", "0", *flags) as process:
        settings.CMA_URL, settings.CMA_KEY = process.url, process.key
        yield Runtime(process)
