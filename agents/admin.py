"""The tables of agents, for platform operators to read."""

from agents import models
from powerloom.web.operators import read_only

read_only(models.AccessWatch, models.Agent, models.Skill)
read_only(models.AgentSkill, models.AgentVersion, models.WithheldSkill, tenant="agent.organization_id")
read_only(models.SkillVersion, tenant="skill.organization_id")
