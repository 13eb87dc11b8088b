"""Skills, their immutable versions, and their attachment to agents."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from accounts.models import OU, Organization
from agents.models.agents import Agent
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Target


class SkillType(models.TextChoices):
    ARCHIVE = "archive"
    TOOL_DEFINITION = "tool_definition"


class Skill(models.Model):
    """A named package of an OU. Agents use its current version unless their attachment pins one."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="skills")
    ou = models.ForeignKey(OU, on_delete=models.PROTECT, related_name="skills")
    name = models.CharField(max_length=63)
    display_name = models.CharField(max_length=255)
    description = models.TextField(null=True, blank=True)  # noqa: DJ001  the wire tells null from ""
    skill_type = models.CharField(max_length=20, choices=SkillType, default=SkillType.ARCHIVE)
    tool_schema = models.JSONField(null=True, blank=True)
    current_version = models.ForeignKey(
        "SkillVersion", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    generation = models.PositiveBigIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["ou", "name"], condition=Q(archived_at__isnull=True), name="one_live_skill_per_name"
            )
        ]

    def __str__(self) -> str:
        return self.name

    def target(self) -> Target:
        return Target("skill", self.id, self.name, self.organization_id, self.ou.path)


class SkillVersion(models.Model):
    """One uploaded archive, checked entry by entry and rebuilt (`agents.archives`).

    `archive` is the rebuilt zip, SKILL.md at its root; `agents.archives.files_of` reads it. `size_bytes` is the
    content's.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    skill = models.ForeignKey(Skill, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    name = models.CharField(max_length=64)  # from SKILL.md
    description = models.TextField()  # from SKILL.md
    sha256 = models.CharField(max_length=64)  # of the content: sorted paths and bytes, not of the container
    size_bytes = models.PositiveBigIntegerField()
    archive = models.BinaryField()
    author_ref = models.CharField(max_length=320)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["skill", "number"], name="one_skill_version_per_number")]

    def __str__(self) -> str:
        return f"{self.skill_id} v{self.number}"


class SkillUpload(models.Model):
    """A checked archive on its way to become a version: a command is JSON, so it names the bytes by this row's id.

    Not governed state. Rows that no command took are swept when nothing can name them any more.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=64)
    description = models.TextField()
    sha256 = models.CharField(max_length=64)
    size_bytes = models.PositiveBigIntegerField()
    archive = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)
    kept_until = models.DateTimeField(null=True, blank=True)  # by a request that names it and waits

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="skill_uploads_by_age")]

    def __str__(self) -> str:
        return f"upload {self.id}"


class AgentSkill(models.Model):
    """A skill attached to an agent now.

    One of ours, pinned to a version or tracking the current one, or one of Anthropic's by its short name.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="skill_attachments")
    skill = models.ForeignKey(Skill, on_delete=models.PROTECT, null=True, blank=True, related_name="attachments")
    skill_version = models.ForeignKey(SkillVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    prebuilt = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["agent", "skill"], condition=Q(skill__isnull=False), name="a_skill_once_per_agent"
            ),
            models.UniqueConstraint(
                fields=["agent", "prebuilt"], condition=~Q(prebuilt=""), name="a_prebuilt_skill_once_per_agent"
            ),
            models.CheckConstraint(
                condition=Q(skill__isnull=False, prebuilt="") | (Q(skill__isnull=True) & ~Q(prebuilt="")),
                name="one_kind_of_attached_skill",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent_id} with {self.prebuilt or self.skill_id}"
