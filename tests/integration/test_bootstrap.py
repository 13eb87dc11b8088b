"""Setting up the meta-agent: step by step, as far as it comes, and never twice."""

from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.management import CommandError, call_command

from accounts.models import User
from accounts.tokens import sign_in_token
from agents.kinds import SyncKind
from agents.models import Agent, Credential, DeploymentStatus, MCPDeployment
from powerloom.run.bootstrap import Bootstrap, BootstrapFailed, Wanted
from powerloom.run.meta_prompt import PROMPT
from tests.declared import make_live
from tests.held import make_policy
from tests.meta import InProcess
from tests.servers import free_port
from tests.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.once]

WANTED = Wanted("/acme/engineering/platform")


def set_up(by: User, wanted: Wanted = WANTED) -> dict[str, Any]:
    """Run it without patience: what others have to do meanwhile has to be done before."""
    bearer = {"Authorization": f"Bearer {sign_in_token(by)}"}
    with httpx.Client(base_url="http://localhost/api", headers=bearer, transport=InProcess()) as api:
        return Bootstrap(api, lambda _words: None, patience=0).run(wanted)


def test_it_goes_on_where_it_stopped_and_changes_only_what_is_named(world: World) -> None:
    with pytest.raises(BootstrapFailed, match="powerloom-meta is pending"):
        set_up(world.alice)
    MCPDeployment.objects.update(status=DeploymentStatus.RUNNING)
    with pytest.raises(BootstrapFailed, match="waiting to be pushed"):
        set_up(world.alice)
    agent = Agent.objects.get(name="powerloom-meta")
    make_live(agent.id, kinds={SyncKind.ENVIRONMENT, SyncKind.CREDENTIAL, SyncKind.VAULT})
    made = set_up(world.alice)
    assert (made["display_name"], made["model"], made["system_prompt"]) == ("Powerloom Meta", "claude-opus-4-6", PROMPT)
    assert made["owner_principal_id"] == str(world.alice.pk)
    assert [server["name"] for server in made["mcp_servers"]] == ["powerloom-meta"]
    agent.refresh_from_db()
    version = agent.version
    assert set_up(world.alice)["id"] == made["id"]
    agent.refresh_from_db()
    assert agent.version == version
    with pytest.raises(BootstrapFailed):
        set_up(world.alice, Wanted(WANTED.ou_path, model="claude-sonnet-4-6"))
    agent.refresh_from_db()
    assert agent.version == version + 1
    assert (MCPDeployment.objects.count(), Credential.objects.count(), Agent.objects.count()) == (1, 1, 1)


def test_what_stands_in_its_way_is_told(world: World) -> None:
    with pytest.raises(BootstrapFailed, match="There is no OU /acme/nowhere"):
        set_up(world.alice, Wanted("/acme/nowhere"))
    with pytest.raises(BootstrapFailed, match="API returned 403: insufficient permissions"):
        set_up(world.eve)
    make_policy(world.alice, world.platform, "mcp_deployment:create")
    with pytest.raises(BootstrapFailed, match=r"Request submitted .* Run this again once it is approved"):
        set_up(world.alice)


def test_the_command_says_who_is_missing_where_and_what_cannot_be_read(world: World, tmp_path: Path) -> None:
    def told(**options: Any) -> str:
        asked = {"admin_email": world.alice.email, "ou_path": WANTED.ou_path, **options}
        with pytest.raises(CommandError) as failed:
            call_command("bootstrap_meta_agent", **asked, stdout=StringIO())
        return str(failed.value)

    nobody = f"http://127.0.0.1:{free_port()}"
    assert told(api=nobody).startswith(f"No Powerloom answers at {nobody}")
    assert "give --admin-token" in told(admin_email="nobody@acme.example")
    assert "cannot be read" in told(system_prompt_file=tmp_path / "absent.md")
