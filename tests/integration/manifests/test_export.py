"""Export: a subtree as a manifest that plans as no change, of what its reader may see."""

import yaml
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.integration.manifests.sending import PILOTS, UNGATED, send
from tests.world import World, api_of

PLACE = "/acme/engineering"


def exported(world: World, who: str = "alice", ou: str = PLACE) -> str:
    answer = api_of(getattr(world, who)).get(f"/manifests/export?ou={ou}")
    assert answer.status_code == 200, answer.content
    text: str = answer.content.decode()
    return text


def test_what_is_exported_plans_as_no_change(world: World) -> None:
    api = api_of(world.alice)
    send(api, "apply", PILOTS)
    text = exported(world, ou="/acme")
    planned = send(api, "plan", text).json()
    assert set(planned["summary"]) == {"noop"}, [row for row in planned["resources"] if row["verb"] != "noop"]
    assert "system_prompt: |\n" in text
    kinds = {document["kind"] for document in yaml.safe_load_all(text)}
    assert kinds >= {"OU", "Agent", "AgentSkill", "AgentMCPServer", "Credential", "RoleBinding", "ApprovalPolicy"}


def test_what_was_exported_and_destroyed_comes_back_the_same(world: World) -> None:
    api = api_of(world.alice)
    send(api, "apply", UNGATED)
    text = exported(world, ou=f"{PLACE}/pilots")
    assert send(api, "destroy", text).status_code == 200
    answer = send(api, "apply", text)
    assert answer.status_code == 200, answer.content
    assert exported(world, ou=f"{PLACE}/pilots") == text


def test_a_reader_gets_what_he_may_read(world: World) -> None:
    send(api_of(world.alice), "apply", PILOTS)
    text = exported(world, "eve")
    kinds = {document["kind"] for document in yaml.safe_load_all(text)}
    assert "Agent" in kinds
    assert not kinds & {"Credential", "ApprovalPolicy", "MCPDeployment"}
    assert set(send(api_of(world.eve), "plan", text).json()["summary"]) == {"noop"}
    for ou in ("/zeta", "/acme/none"):
        assert api_of(world.eve).get(f"/manifests/export?ou={ou}").status_code == 404


def test_its_queries_do_not_grow_with_what_is_there(world: World) -> None:
    api = api_of(world.alice)
    send(api, "apply", PILOTS)

    def counted() -> int:
        with CaptureQueriesContext(
            connection,
        ) as caught:
            exported(world)
        return len(caught)

    few = counted()
    more = PILOTS.replace("/acme/engineering/pilots", "/acme/engineering/others").replace(
        "name: pilots", "name: others"
    )
    assert send(api, "apply", more.replace("pilot-gate", "other-gate")).status_code == 200
    assert counted() == few
