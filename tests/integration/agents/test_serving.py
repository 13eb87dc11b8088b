from typing import Any, ClassVar

import pytest

from accounts import sealing
from accounts.commands.secrets import SEALED, CreateSecret
from accounts.models import OU, EgressRule
from agents.backends.base import Unfit
from agents.mcp.catalog import TEMPLATES
from agents.mcp.echo import EchoConfig, EchoTemplate
from agents.mcp.template import Policy, SecretReference
from agents.models import MCPDeployment
from agents.serving import resolved, served
from powerloom.kernel.ids import new_id
from tests.declared import done
from tests.world import World

pytestmark = pytest.mark.django_db

NEEDED = SecretReference("database_url_secret", "orders", "postgres_url")


def deployment(ou: OU, **fields: Any) -> MCPDeployment:
    facts = {"name": "here", "display_name": "Here", "template_kind": "echo", **fields}
    return MCPDeployment.objects.create(organization=ou.organization, ou=ou, **facts)


def keep(world: World, ou: OU, value: str, *, name: str = "orders", kind: str = "postgres_url") -> None:
    sealed_id = sealing.seal(value, kind=SEALED, organization_id=world.acme.id)
    done(CreateSecret(id=new_id(), ou_id=ou.id, name=name, kind=kind, sealed_id=sealed_id), world.alice)


def test_config_and_policy_come_with_their_defaults(world: World) -> None:
    found = served(deployment(world.platform, policy={"denied_tools": ["fail"]}))
    assert found.config == EchoConfig()
    assert found.policy == Policy(denied_tools=["fail"])
    assert (found.organization_id, found.ou_id) == (world.acme.id, world.platform.id)


def test_the_way_out_is_the_organizations(world: World) -> None:
    for organization, pattern in [(world.acme, "*.acme.internal"), (world.zeta, "*.zeta.internal")]:
        EgressRule.objects.create(organization=organization, pattern=pattern)
    assert served(deployment(world.platform)).way.private_hosts == ("*.acme.internal",)


def test_the_nearest_secret_of_the_name_is_taken(world: World) -> None:
    keep(world, world.root, "far")
    assert resolved(world.platform.id, [NEEDED]) == {"database_url_secret": "far"}
    keep(world, world.engineering, "near")
    assert resolved(world.platform.id, [NEEDED]) == {"database_url_secret": "near"}
    assert resolved(world.root.id, [NEEDED]) == {"database_url_secret": "far"}


@pytest.mark.parametrize("place", ["sales", "platform"])
def test_a_secret_beside_or_below_is_not_found(world: World, place: str) -> None:
    keep(world, getattr(world, place), "elsewhere")
    with pytest.raises(Unfit, match="no secret orders in this OU or above"):
        resolved(world.engineering.id, [NEEDED])


def test_a_secret_of_another_kind_is_refused_even_when_one_above_would_do(world: World) -> None:
    keep(world, world.root, "canary-far")
    keep(world, world.engineering, "canary-near", kind="slack_token")
    with pytest.raises(Unfit, match="is of kind slack_token, and database_url_secret needs postgres_url") as refusal:
        resolved(world.engineering.id, [NEEDED])
    assert "canary" not in str(refusal.value)


def test_a_secret_that_does_not_open_is_named_and_not_shown(world: World, settings: Any) -> None:
    keep(world, world.root, "canary")
    settings.MASTER_KEYS = "tests.integration.agents.no_keys.nothing"
    with pytest.raises(Unfit, match="cannot be opened") as refusal:
        resolved(world.root.id, [NEEDED])
    assert "canary" not in str(refusal.value)


def test_secrets_stay_out_of_what_is_printed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Needy(EchoTemplate):
        kind: ClassVar[str] = "needy"

        def secrets(self, config: EchoConfig) -> tuple[SecretReference, ...]:
            return (NEEDED,)

    monkeypatch.setitem(TEMPLATES, "needy", Needy())
    keep(world, world.root, "canary")
    found = served(deployment(world.platform, template_kind="needy"))
    assert found.secrets == {"database_url_secret": "canary"}
    assert "canary" not in repr(found)


@pytest.mark.parametrize(
    ("fields", "step", "words"),
    [
        ({"template_kind": "jira"}, "template", "jira is not available here"),
        ({"config": {"unknown": 1}}, "config", "unknown"),
        ({"policy": {"calls_per_minute": 0}}, "config", "calls_per_minute"),
    ],
)
def test_what_cannot_be_served_says_at_which_step(world: World, fields: dict[str, Any], step: str, words: str) -> None:
    with pytest.raises(Unfit, match=words) as refusal:
        served(deployment(world.platform, **fields))
    assert refusal.value.step == step
