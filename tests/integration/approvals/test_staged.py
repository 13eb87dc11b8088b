"""What a held set names and somebody would sweep waits as long as the request does; and no secret rides along."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from accounts import sealing
from accounts.models import Sealed, Secret
from agents import probing, staging, uploads
from agents.commands import CreateServer
from agents.models import Discovery, MCPServer, Skill, SkillUpload, SkillVersion
from approvals import replay
from approvals.commands.policies import LONGEST_TTL
from approvals.models import ApprovalRequest
from powerloom.commands.bus import submit
from powerloom.commands.registry import Held
from powerloom.kernel.ids import new_id
from tests.archives import GOOD, zipped
from tests.declared import make_skill
from tests.held import decide, make_policy
from tests.world import World, actor_of, api_of

pytestmark = pytest.mark.once


def held(answer: Any) -> ApprovalRequest:
    assert answer.status_code == 202, answer.content
    return ApprovalRequest.objects.get(pk=answer.json()["id"])


def applied(world: World, request: ApprovalRequest) -> bool:
    assert decide(world.vera, request).status_code == 200
    replay.run()
    request.refresh_from_db()
    assert request.failure is None
    return request.outcome == "applied"


def test_a_sealed_value_waits_with_its_request_and_is_the_one_that_was_asked(world: World) -> None:
    make_policy(world.alice, world.root, "secret:*", ttl_seconds=LONGEST_TTL)
    body = {"name": "forge", "ou_id": str(world.engineering.id), "kind": "forge_token", "value": "hush"}
    request = held(api_of(world.bob).post("/secrets", body))
    assert held(api_of(world.bob).post("/secrets", body)) == request
    assert held(api_of(world.bob).post("/secrets", body | {"value": "another"})) != request
    assert sealing.sweep_untaken() == 0
    assert applied(world, request)
    secret = Secret.objects.select_related("sealed").get()
    assert secret.sealed
    assert sealing.unseal(secret.sealed) == "hush"


def upload(world: World, skill: Skill, extra: bytes = b"") -> Any:
    file = SimpleUploadedFile("skill.zip", zipped({**GOOD, "extra.txt": extra}), "application/zip")
    return api_of(world.bob).upload(f"/skills/{skill.id}/versions", file=file)


def test_an_upload_waits_with_its_request(world: World) -> None:
    skill = make_skill(world.bob, world.engineering)
    make_policy(world.alice, world.root, "skill:upload", ttl_seconds=LONGEST_TTL)
    request = held(upload(world, skill))
    assert held(upload(world, skill)) == request
    assert held(upload(world, skill, b"another")) != request
    SkillUpload.objects.update(created_at=timezone.now() - timedelta(days=80))
    uploads.stage(zipped(GOOD), actor=actor_of(world.bob))  # which sweeps
    assert applied(world, request)
    assert SkillVersion.objects.get().skill == skill


def test_what_a_handshake_found_waits_with_its_request(world: World) -> None:
    make_policy(world.alice, world.root, "mcp_server:create", ttl_seconds=LONGEST_TTL)
    found = Discovery.objects.create(
        organization=world.acme, url="https://mcp.example.com/mcp", protocol_version="", tools=[{"name": "search"}]
    )
    said = {"name": "tools", "display_name": "Tools", "ou_id": world.engineering.id, "url": found.url}
    outcome = submit(CreateServer(id=new_id(), discovery_id=found.id, **said), actor=actor_of(world.bob))
    assert isinstance(outcome, Held)
    Discovery.objects.update(created_at=timezone.now() - timedelta(days=80))
    assert probing.sweep_discoveries() == 0
    assert applied(world, ApprovalRequest.objects.get())
    assert [tool.name for tool in MCPServer.objects.get().tools.all()] == ["search"]


def test_what_no_request_waits_for_is_swept(world: World) -> None:
    skill = make_skill(world.bob, world.engineering)
    make_policy(world.alice, world.root, "skill:upload", ttl_seconds=60)
    held(upload(world, skill))
    SkillUpload.objects.update(
        created_at=timezone.now() - timedelta(days=80), kept_until=timezone.now() - timedelta(seconds=1)
    )
    assert staging.sweep(SkillUpload) == 1


def test_another_master_key_makes_no_request_stale(world: World) -> None:
    make_policy(world.alice, world.root, "secret:*")
    body = {"name": "forge", "ou_id": str(world.engineering.id), "kind": "forge_token", "value": "hush"}
    request = held(api_of(world.bob).post("/secrets", body))
    Sealed.objects.update(key_id="another")
    assert applied(world, request)
