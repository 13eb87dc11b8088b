"""The tables of agents, for platform operators to read."""

from agents import models
from powerloom.web.operators import read_only

read_only(models.AccessWatch, models.Agent, models.Credential, models.Discovery, models.FileRoot, models.Skill)
read_only(models.MCPCall, models.MCPDeployment, models.MCPServer, models.SkillUpload)
read_only(models.AgentMCPServer, models.AgentSkill, models.AgentVersion, tenant="agent.organization_id")
read_only(models.WithheldServer, models.WithheldSkill, tenant="agent.organization_id")
read_only(models.FleetAddress, tenant="")
read_only(models.MCPTool, tenant="server.organization_id")
read_only(models.SkillVersion, tenant="skill.organization_id")
