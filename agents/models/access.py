"""What follows from rights that come and go: how far each watch has looked, and which skills are withheld."""

from __future__ import annotations

from django.db import models

from accounts.models import Organization
from agents.models.agents import Agent
from agents.models.skills import Skill


class AccessWatch(models.Model):
    """How far one watch has followed an organization's access: to which epoch, and to which moment."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=20)
    epoch = models.PositiveBigIntegerField(default=0)
    checked_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "name"], name="a_watch_once_per_organization")]

    def __str__(self) -> str:
        return f"{self.name} of {self.organization_id} at {self.epoch}"


class WithheldSkill(models.Model):
    """An attached skill that the agent does not get, because its principal may no longer use it.

    Not governed state: `agents.withholding` derives it from bindings and attachments. It is no part of the attachment,
    so that an attachment that is written anew does not lose it unseen.
    """

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="withheld_skills")
    skill = models.ForeignKey(Skill, on_delete=models.CASCADE, related_name="+")
    since = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["agent", "skill"], name="a_skill_withheld_once")]

    def __str__(self) -> str:
        return f"{self.skill_id} from {self.agent_id}"
