"""The tables of agents, by noun."""

from agents.models.access import AccessWatch, WithheldSkill
from agents.models.agents import Agent, AgentKind, AgentVersion
from agents.models.skills import AgentSkill, Skill, SkillType, SkillUpload, SkillVersion

__all__ = [
    "AccessWatch",
    "Agent",
    "AgentKind",
    "AgentSkill",
    "AgentVersion",
    "Skill",
    "SkillType",
    "SkillUpload",
    "SkillVersion",
    "WithheldSkill",
]
