"""The secret store: named, of an OU and a kind, write-only."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts import queries, sealing
from accounts.commands.secrets import SEALED, CreateSecret
from accounts.models import OU, Sealed, Secret
from powerloom.audit.models import Entry
from powerloom.commands.bus import submit
from powerloom.kernel.envelope import Unreadable
from powerloom.kernel.errors import NotFound
from powerloom.kernel.ids import new_id
from tests.world import World, actor_of, api_of, root_of


def body(world: World, **named: Any) -> dict[str, Any]:
    return {"name": "analytics-dsn", "ou_id": str(world.platform.id), "kind": "postgres_dsn", "value": "hush"} | named


def opened(secret_id: str) -> str:
    sealed = Secret.objects.get(pk=secret_id).sealed
    assert sealed is not None
    return sealing.unseal(sealed)


def test_a_value_goes_in_and_never_comes_out(world: World) -> None:
    bob = api_of(world.bob)
    made = bob.post("/secrets", body(world))
    assert made.status_code == 201
    answers = [made.json(), bob.get("/secrets").json()[0], bob.get(f"/secrets/{made.json()['id']}").json()]
    assert all("value" not in answer and "hush" not in str(answer) for answer in answers)
    assert answers[0]["ou_path"] == "/acme/engineering/platform"
    assert opened(made.json()["id"]) == "hush"


def test_rotating_replaces_the_value_and_destroys_the_earlier_one(world: World) -> None:
    bob = api_of(world.bob)
    path = f"/secrets/{bob.post('/secrets', body(world)).json()['id']}"
    rotated = bob.post(f"{path}/rotate", {"value": "hush hush"}).json()
    assert (rotated["version"], rotated["rotated_at"] is None) == (2, False)
    assert opened(rotated["id"]) == "hush hush"
    assert Sealed.objects.count() == 1


def test_deleting_destroys_the_value_and_frees_the_name(world: World) -> None:
    bob = api_of(world.bob)
    path = f"/secrets/{bob.post('/secrets', body(world)).json()['id']}"
    assert bob.post("/secrets", body(world)).status_code == 409
    assert bob.delete(path).status_code == 204
    assert bob.get(path).status_code == 404
    assert Sealed.objects.filter(expires_at__isnull=True).count() == 0
    assert bob.post("/secrets", body(world)).status_code == 201


def test_secrets_are_filtered_by_ou_and_kind(world: World) -> None:
    bob = api_of(world.bob)
    bob.post("/secrets", body(world))
    assert len(bob.get("/secrets", {"ou_id": str(world.platform.id)}).json()) == 1
    assert bob.get("/secrets", {"ou_id": str(world.engineering.id)}).json() == []
    assert bob.get("/secrets", {"kind": "slack_token"}).json() == []


def test_a_name_means_the_nearest_secret_above_and_never_one_beside_or_below(world: World) -> None:
    alice = api_of(world.alice)
    places = {"root": world.root, "engineering": world.engineering, "platform": world.platform, "sales": world.sales}
    ids = {
        name: alice.post("/secrets", body(world, ou_id=str(ou.id))).json()["id"]
        for name, ou in places.items()
        if name != "platform"
    }

    def reached(ou: OU) -> list[str]:
        return [str(secret.id) for secret in queries.secrets_reaching(ou.id, ["analytics-dsn", "absent"]).values()]

    assert reached(world.platform) == reached(world.engineering) == [ids["engineering"]]
    assert (reached(world.root), reached(world.sales)) == ([ids["root"]], [ids["sales"]])
    assert reached(root_of(world.zeta)) == []
    alice.delete(f"/secrets/{ids['engineering']}")
    assert reached(world.platform) == [ids["root"]]


def test_it_takes_the_right_where_the_secret_lives(world: World) -> None:
    made = api_of(world.alice).post("/secrets", body(world)).json()
    assert api_of(world.eve).post("/secrets", body(world, name="other")).status_code == 403
    assert api_of(world.bob).post("/secrets", body(world, ou_id=str(world.sales.id))).status_code == 403
    for stranger in (world.eve, world.mallory):
        assert api_of(stranger).get(f"/secrets/{made['id']}").status_code == 404
        assert api_of(stranger).post(f"/secrets/{made['id']}/rotate", {"value": "x"}).status_code == 404
        assert api_of(stranger).delete(f"/secrets/{made['id']}").status_code == 404
        assert api_of(stranger).get("/secrets").json() == []


@pytest.mark.parametrize(
    "named",
    [
        {"name": "No"},
        {"kind": "No"},
        {"value": ""},
        {"value": 7},
        {"value": "x" * 65537},
        {"value": None},
        {"other": 1},
    ],
)
def test_a_secret_must_make_sense_and_a_refusal_does_not_repeat_the_value(world: World, named: dict[str, Any]) -> None:
    answer = api_of(world.bob).post("/secrets", body(world, **{"value": "canary"} | named))
    assert answer.status_code == 422
    assert "canary" not in answer.content.decode()
    assert "xxx" not in answer.content.decode()


def test_the_trail_tells_the_version_and_not_the_value(world: World) -> None:
    api_of(world.bob).post("/secrets", body(world))
    entry = Entry.objects.get(action="secret:create")
    assert '"version":1' in entry.body
    assert "hush" not in entry.body


# --- Sealed rows


def sealed(world: World, value: str = "hush") -> Any:
    return sealing.seal(value, kind=SEALED, organization_id=world.acme.id)


def create(world: World, sealed_id: Any, name: str = "one") -> Any:
    command = CreateSecret(id=new_id(), ou_id=world.platform.id, name=name, kind="opaque", sealed_id=sealed_id)
    return submit(command, actor=actor_of(world.bob))


def test_a_sealed_row_is_taken_once(world: World) -> None:
    row = sealed(world)
    create(world, row)
    with pytest.raises(NotFound):
        create(world, row, "two")


def test_a_sealed_row_of_another_tenant_or_kind_does_not_exist(world: World) -> None:
    with pytest.raises(NotFound):
        create(world, sealing.seal("hush", kind=SEALED, organization_id=world.zeta.id))
    with pytest.raises(NotFound):
        create(world, sealing.seal("hush", kind="password_hash", organization_id=world.acme.id))


def test_what_no_command_took_is_swept_and_the_rest_stays(world: World) -> None:
    create(world, sealed(world))
    orphan = sealed(world)
    assert sealing.sweep_untaken() == 0
    Sealed.objects.filter(pk=orphan).update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(NotFound):
        create(world, orphan, "two")
    assert sealing.sweep_untaken() == 1
    assert Sealed.objects.count() == 1


def test_a_row_moved_to_another_tenant_does_not_open(world: World) -> None:
    row = Sealed.objects.get(pk=sealed(world))
    row.organization = world.zeta
    with pytest.raises(Unreadable):
        sealing.unseal(row)


def test_rotating_the_master_key_keeps_everything_readable(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "BATCH", 3)
    rows = {sealed(world, f"value {number}"): f"value {number}" for number in range(8)}
    old = sealing.master_keys().current().id
    out = StringIO()
    call_command("rotate_master_key", stdout=out)
    new = sealing.master_keys().current().id
    assert new != old
    assert "8 sealed values" in out.getvalue()
    assert {row.key_id for row in Sealed.objects.all()} == {new}
    assert {row.id: sealing.unseal(row) for row in Sealed.objects.all()} == rows
    assert Entry.objects.get(action="master_key:rotate").decision == "recorded"


def test_between_rotation_and_rewrapping_both_keys_open(world: World) -> None:
    before = sealed(world, "before")
    sealing.master_keys().rotate()
    after = sealed(world, "after")
    assert [sealing.unseal(Sealed.objects.get(pk=row)) for row in (before, after)] == ["before", "after"]
    out = StringIO()
    call_command("rotate_master_key", "--resume", stdout=out)
    assert "1 sealed values" in out.getvalue()
