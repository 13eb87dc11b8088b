"""How each kind is planned: one function a kind, from a document and the scene to a step."""

from powerloom.manifests.planners import agents, attachments, policies, servers, skills, tree
from powerloom.manifests.steps import Planner

PLANNERS: dict[str, Planner] = {
    "OU": tree.ou,
    "Group": tree.group,
    "GroupMembership": tree.membership,
    "RoleBinding": tree.binding,
    "Skill": skills.skill,
    "SkillAccessGrant": skills.grant,
    "MCPServerRegistration": servers.registration,
    "MCPDeployment": servers.deployment,
    "Agent": agents.agent,
    "AgentSkill": attachments.agent_skill,
    "AgentMCPServer": attachments.agent_server,
    "Credential": attachments.credential,
    "ApprovalPolicy": policies.policy,
}
