"""The organization `acme` applies every manifest of the product's documentation: once it is there, nothing changes."""

from pathlib import Path

import pytest

from agents.models import Agent, AgentSkill, Credential, MCPServer
from tests.integration.manifests.sending import send
from tests.world import World, api_of, bind, make_user

DOCUMENTED = (Path(__file__).parent / "documented.yaml").read_text()

# What the documentation takes for granted.
GIVEN = """
kind: MCPDeployment
metadata: {name: repo-files, ou_path: /acme/engineering}
spec: {template_kind: echo}
---
kind: Agent
metadata: {name: pg-writer, ou_path: /acme/engineering/platform}
spec:
  model: claude-sonnet-4-6
  system_prompt: Write reports.
  owner_principal_ref: user:admin@acme.com
"""

# The same agent again, as the documentation attaches a skill: it names nothing else.
ATTACHING = """
kind: Agent
metadata:
  name: code-reviewer
  ou_path: /acme/engineering
spec:
  skills: [python-lint]
"""


@pytest.mark.once
def test_acme_applies_what_is_documented(world: World) -> None:
    admin = make_user("admin@acme.com", home=world.root)
    bind(admin, "OrgAdmin", world.root)
    api = api_of(admin)
    kept = {"name": "pg-analytics-dsn", "ou_id": str(world.platform.id), "kind": "postgres_url"}
    secret = api.post("/secrets", {**kept, "value": "postgres://reader:pw@db.acme.internal/analytics"})
    assert secret.status_code == 201, secret.content
    assert send(api, "apply", GIVEN).status_code == 200

    applied = send(api, "apply", DOCUMENTED)
    assert applied.status_code == 200, applied.json()
    assert {row["status"] for row in applied.json()["resources"]} == {"applied"}
    reviewer, writer = (Agent.objects.get(name=name) for name in ("code-reviewer", "pg-writer"))
    assert AgentSkill.objects.filter(agent=reviewer, skill__name="python-lint").exists()
    assert Credential.objects.filter(agent=writer, server__name="pg-analytics").exists()
    assert MCPServer.objects.get(name="custom-tools").state == "unverified"
    (warned,) = (row for row in applied.json()["resources"] if row["warnings"])
    assert warned["kind"] == "MCPServerRegistration"

    for text in (DOCUMENTED, ATTACHING):
        assert set(send(api, "plan", text).json()["summary"]) == {"noop"}
    exported = api.get("/manifests/export?ou=/acme").content.decode()
    assert "pw@db" not in exported
    assert set(send(api, "plan", exported).json()["summary"]) == {"noop"}

    destroyed = send(api, "destroy", DOCUMENTED)
    assert destroyed.status_code == 200, destroyed.content
    assert {row["status"] for row in destroyed.json()["resources"]} == {"applied"}
    assert set(send(api, "destroy", DOCUMENTED, "?dry_run=true").json()["summary"]) == {"noop"}
