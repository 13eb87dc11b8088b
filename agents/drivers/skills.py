"""Skills and their versions. CMA keeps no metadata on them, so our mark is elsewhere:

    skill      its display name ends in our id; it is made with its first version, because CMA wants files at once
    version    immutable; known by its content, so one whose answer was lost is found by hashing what CMA has

Archives may be large: a batch holds at most `MOST_BYTES` of them, the others wait for the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar  # Any: rows of values() have no type of ours
from uuid import UUID

from django.db.models import F, QuerySet

from agents.archives import files_of, read_package
from agents.kinds import SyncKind
from agents.models import AgentSkill, Skill, SkillVersion
from powerloom.cma.types import JSON, Files, Page
from powerloom.kernel.errors import Invalid
from powerloom.reconcile.driver import OTHER, Calls, Driver, Job, Need, Wanted
from powerloom.reconcile.models import SyncState
from powerloom.reconcile.result import Done, Odd, Remote
from powerloom.reconcile.stamps import Stamp

MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Upload:
    """What a create sends. `known`: CMA's ids of the skill's other versions, which need not be looked into."""

    version_id: UUID
    name: str
    archive: bytes = field(repr=False)
    known: frozenset[str] = frozenset()

    def files(self) -> Files:
        """Return the files under the one top directory that CMA wants."""
        return [(f"{self.name}/{path}", content) for path, content in files_of(self.archive).items()]


class SkillDriver(Driver):
    """A skill as such: that it is there. What is in it are its versions."""

    kind: ClassVar[str] = SyncKind.SKILL

    def load(self, states: Sequence[SyncState]) -> dict[UUID, Wanted]:
        skills = {skill.pk: skill for skill in Skill.objects.filter(pk__in=[state.object_id for state in states])}
        versions = SkillVersion.objects.filter(skill__in=skills).order_by("skill_id", "-number").defer("archive")
        first = {version.skill_id: version for version in versions}
        lacking = [first[state.object_id] for state in states if not state.remote_id and state.object_id in first]
        uploads = _uploads(lacking, {})
        return {pk: _wanted_skill(skill, first.get(pk), uploads) for pk, skill in skills.items()}

    def recorded(self, records: Sequence[tuple[Job, Done | Odd]]) -> None:
        """The version that came with a new skill is on CMA already, under the id that the skill calls its latest."""
        for job, result in records:
            if job.state.remote_id or not result.answer or not isinstance(job.wanted.extra, Upload):
                continue
            rows = SyncState.objects.filter(kind=SyncKind.SKILL_VERSION, object_id=job.wanted.extra.version_id)
            rows.update(
                remote_id=result.answer["latest_version_id"],
                actual_hash="",
                desired_hash="",
                generation=F("generation") + 1,
            )

    def dependents(self, ids: Sequence[UUID]) -> dict[str, list[UUID]]:
        versions = SkillVersion.objects.filter(skill__in=ids).values_list("pk", flat=True)
        return {SyncKind.SKILL_VERSION: list(versions), SyncKind.AGENT: _agents_with(ids)}

    def project(self, answer: JSON, job: Job) -> JSON:
        return {"id": answer["display_name"].rpartition(" ")[2]}

    def remote(self, answer: JSON) -> Remote:
        return Remote(answer["id"])

    def stamped(self, answer: JSON) -> Stamp | None:
        try:
            return Stamp(None, UUID(answer["display_name"].rpartition(" ")[2]))
        except ValueError:
            return None

    async def create(self, calls: Calls, job: Job) -> JSON:
        files = job.wanted.extra.files()
        return await calls(self.creates, calls.cma.skills.create(f"{job.wanted.label} {job.wanted.id}", files))

    async def read(self, calls: Calls, job: Job, remote_id: str) -> JSON:
        return await calls(self.others, calls.cma.skills.retrieve(remote_id))

    async def update(self, calls: Calls, job: Job, remote: Remote) -> JSON:
        """CMA cannot change a skill: what differs stays different, and is shown."""
        return await self.read(calls, job, remote.id)

    async def remove(self, calls: Calls, job: Job, remote_id: str) -> None:
        await calls(self.others, calls.cma.skills.delete(remote_id))

    async def page(self, calls: Calls, cursor: str | None, parent: str) -> Page:
        return await calls(self.others, calls.cma.skills.list(cursor))


class SkillVersionDriver(Driver):
    """One version: its content, under its skill."""

    kind: ClassVar[str] = SyncKind.SKILL_VERSION
    parent_kind: ClassVar[str | None] = SyncKind.SKILL

    def load(self, states: Sequence[SyncState]) -> dict[UUID, Wanted]:
        ids = [state.object_id for state in states]
        versions = SkillVersion.objects.filter(pk__in=ids).select_related("skill").defer("archive")
        lacking = {state.object_id for state in states if not state.remote_id}
        missing = [version for version in versions if version.pk in lacking]
        uploads = _uploads(missing, _known(missing))
        return {version.pk: _wanted_version(version, uploads, is_lacking=version.pk in lacking) for version in versions}

    def dependents(self, ids: Sequence[UUID]) -> dict[str, list[UUID]]:
        skills = SkillVersion.objects.filter(pk__in=ids).values("skill_id")
        return {SyncKind.AGENT: _agents_with(skills)}

    def children(self, parent_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
        found: dict[UUID, list[UUID]] = {}
        for skill_id, pk in SkillVersion.objects.filter(skill__in=parent_ids).values_list("skill_id", "pk"):
            found.setdefault(skill_id, []).append(pk)
        return found

    def project(self, answer: JSON, job: Job) -> JSON:
        """A version never changes, so that this id is there under this skill is all there is to see."""
        _, id_ = job.ours().get(answer["skill_id"], ("", answer["skill_id"]))
        return {"skill": str(id_), "content": (job.wanted.document or {}).get("content")}

    def remote(self, answer: JSON) -> Remote:
        return Remote(answer["id"])

    def stamped(self, answer: JSON) -> Stamp | None:
        return None

    async def create(self, calls: Calls, job: Job) -> JSON:
        return await calls(self.creates, calls.cma.skills.versions.create(_skill(job), job.wanted.extra.files()))

    async def read(self, calls: Calls, job: Job, remote_id: str) -> JSON:
        return await calls(self.others, calls.cma.skills.versions.retrieve(_skill(job), remote_id))

    async def update(self, calls: Calls, job: Job, remote: Remote) -> JSON:
        return await self.read(calls, job, remote.id)

    async def remove(self, calls: Calls, job: Job, remote_id: str) -> None:
        """It goes with its skill."""

    async def page(self, calls: Calls, cursor: str | None, parent: str) -> Page:
        return await calls(self.others, calls.cma.skills.versions.list(parent, cursor))

    async def find(self, calls: Calls, jobs: Sequence[Job]) -> dict[UUID, JSON]:
        found = {}
        for job in jobs:
            if job.wanted.document and (answer := await self._of_content(calls, job)):
                found[job.wanted.id] = answer
        return found

    async def _of_content(self, calls: Calls, job: Job) -> JSON | None:
        """Return the version of the skill whose files are these."""
        document, cursor = job.wanted.document or {}, None
        while True:
            page = await self.page(calls, cursor, _skill(job))
            for answer in page.data:
                if answer["id"] in job.wanted.extra.known:
                    continue
                content = calls.cma.skills.versions.content(_skill(job), answer["id"])
                if _hash_of(await calls(OTHER, content)) == document["content"]:
                    return answer
            if not page.next_page:
                return None
            cursor = page.next_page


def _wanted_skill(skill: Skill, first: SkillVersion | None, uploads: Mapping[UUID, Upload]) -> Wanted:
    document = None if skill.archived_at else {"id": str(skill.pk)}
    if first is None:
        return Wanted(skill.pk, skill.name, document, (Need(SyncKind.SKILL_VERSION, None, "its first version"),))
    upload = uploads.get(first.pk)
    return Wanted(skill.pk, skill.name, document, (), upload, is_deferred=upload is not None and not upload.archive)


def _wanted_version(version: SkillVersion, uploads: Mapping[UUID, Upload], *, is_lacking: bool) -> Wanted:
    skill = version.skill
    document = None if skill.archived_at else {"skill": str(skill.pk), "content": version.sha256}
    needs = (Need(SyncKind.SKILL, skill.pk, f"skill {skill.name}"),) if document else ()
    upload = uploads.get(version.pk)
    is_deferred = is_lacking and upload is not None and not upload.archive
    return Wanted(version.pk, f"{skill.name} v{version.number}", document, needs, upload, is_deferred=is_deferred)


def _uploads(versions: Sequence[SkillVersion], known: Mapping[UUID, frozenset[str]]) -> dict[UUID, Upload]:
    """Load the archives of as many versions as a batch may hold, at least one; the others come without."""
    held: list[UUID] = []
    size = 0
    for version in versions:
        size += version.size_bytes
        if not held or size <= MOST_BYTES:
            held.append(version.pk)
    archives = dict(SkillVersion.objects.filter(pk__in=held).values_list("pk", "archive"))
    return {
        version.pk: Upload(
            version.pk, version.name, bytes(archives.get(version.pk, b"")), known.get(version.skill_id, frozenset())
        )
        for version in versions
    }


def _known(versions: Iterable[SkillVersion]) -> dict[UUID, frozenset[str]]:
    """Return, by skill, CMA's ids of the versions that we have matched already."""
    siblings = dict(
        SkillVersion.objects.filter(skill__in={version.skill_id for version in versions}).values_list("pk", "skill_id")
    )
    rows = SyncState.objects.filter(kind=SyncKind.SKILL_VERSION, object_id__in=siblings).exclude(remote_id="")
    found: dict[UUID, frozenset[str]] = {}
    for object_id, remote_id in rows.values_list("object_id", "remote_id"):
        skill_id = siblings[object_id]
        found[skill_id] = found.get(skill_id, frozenset()) | {remote_id}
    return found


def _agents_with(skills: Iterable[UUID] | QuerySet[SkillVersion, Any]) -> list[UUID]:
    return list(AgentSkill.objects.filter(skill__in=skills).values_list("agent_id", flat=True).distinct())


def _skill(job: Job) -> str:
    """Return CMA's id of the version's skill."""
    return job.remote_id(SyncKind.SKILL, UUID((job.wanted.document or {})["skill"]))


def _hash_of(content: bytes) -> str:
    try:
        return read_package(content).sha256
    except Invalid:
        return ""  # somebody else's, and nothing we would have made
