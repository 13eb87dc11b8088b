"""A manifest of nearly every kind, and how manifests are sent."""

from typing import Any

from tests.world import Api

PILOTS = """
apiVersion: powerloom/v1
kind: Agent
metadata: {name: reviewer, ou_path: /acme/engineering/pilots}
spec:
  display_name: Reviewer
  model: claude-sonnet-4-6
  system_prompt: |
    Review Python code.
  owner_principal_ref: user:bob@acme.example
  skills: [lint]
  mcp_servers: [echo-box]
---
kind: OU
metadata: {name: pilots, parent_ou_path: /acme/engineering}
---
kind: Group
metadata: {name: leads, ou_path: /acme/engineering/pilots}
spec: {display_name: Leads}
---
kind: GroupMembership
metadata: {group_path: /acme/engineering/pilots/leads, member_ref: "user:eve@acme.example"}
---
kind: RoleBinding
metadata:
  principal_ref: group:/acme/engineering/pilots/leads
  role: AgentViewer
  scope_ou_path: /acme/engineering/pilots
---
kind: Skill
metadata: {name: lint, ou_path: /acme/engineering/pilots}
spec: {description: Lint Python files.}
---
kind: SkillAccessGrant
metadata: {skill_path: /acme/engineering/pilots/lint, principal_ref: "user:vera@acme.example"}
---
apiVersion: powerloom.app/v1
kind: MCPDeployment
metadata: {name: echo-box, ou_path: /acme/engineering/pilots}
spec: {template_kind: echo, policy: {denied_tools: [fail]}}
---
kind: ApprovalPolicy
metadata: {name: pilot-gate, scope_ou_path: /acme/engineering/pilots}
spec: {action_pattern: "agent:archive", approver_role: Approver}
"""


UNGATED = PILOTS.rpartition("---")[0]


def send(api: Api, act: str, text: str | bytes, query: str = "") -> Any:
    body = text if isinstance(text, bytes) else text.encode()
    return api._client.post(f"/api/manifests/{act}{query}", data=body, content_type="application/yaml", **api._bearer)
