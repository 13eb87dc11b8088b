"""Folders of the machine that an organization may serve: granted and revoked on the server, and recorded."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from agents.commands.roots import GrantFileRoot, RevokeFileRoot
from agents.models import FileRoot
from agents.queries.roots import is_granted
from agents.roots import fault_of
from powerloom.audit.models import Entry
from powerloom.commands.bus import submit
from powerloom.kernel.errors import Invalid, NameTaken, NotFound
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from tests.world import World, actor_of


def run(name: str, *arguments: str) -> str:
    out = StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue()


def test_a_root_is_granted_and_revoked_on_the_server_and_both_are_recorded(world: World, tmp_path: Path) -> None:
    assert f"root: {tmp_path}" in run("grant_file_root", "acme", str(tmp_path))
    assert is_granted(world.acme.id, str(tmp_path))
    assert "not serve" in run("revoke_file_root", "acme", str(tmp_path))
    assert not is_granted(world.acme.id, str(tmp_path))
    entries = Entry.objects.filter(chain_id=world.acme.id, target_kind="file_root").order_by("seq")
    assert [(entry.action, entry.actor_ref, entry.target_name) for entry in entries] == [
        ("file_root:grant", "system:grant_file_root", str(tmp_path)),
        ("file_root:revoke", "system:revoke_file_root", str(tmp_path)),
    ]


def test_a_root_is_one_organizations_and_holds_for_what_lies_below(world: World, tmp_path: Path) -> None:
    run("grant_file_root", "acme", str(tmp_path))
    assert is_granted(world.acme.id, f"{tmp_path}/docs/api")
    assert not is_granted(world.acme.id, f"{tmp_path}s")
    assert not is_granted(world.acme.id, str(tmp_path.parent))
    assert not is_granted(world.zeta.id, str(tmp_path))


def test_links_are_followed_once_when_it_is_granted(world: World, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    run("grant_file_root", "acme", str(tmp_path / "link"))
    assert FileRoot.objects.get(organization=world.acme).path == str(tmp_path / "real")
    run("revoke_file_root", "acme", str(tmp_path / "link"))
    assert not is_granted(world.acme.id, str(tmp_path / "real"))


def test_a_root_that_is_gone_from_the_disk_can_still_be_revoked(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "short-lived"
    folder.mkdir()
    run("grant_file_root", "acme", str(folder))
    folder.rmdir()
    run("revoke_file_root", "acme", str(folder))
    assert not is_granted(world.acme.id, str(folder))


def test_it_is_granted_once(world: World, tmp_path: Path) -> None:
    run("grant_file_root", "acme", str(tmp_path))
    assert run("grant_file_root", "acme", str(tmp_path), "--if-missing") == ""
    with pytest.raises(CommandError, match="granted already"):
        run("grant_file_root", "acme", str(tmp_path))
    actor = Actor.system("a test", organization_id=world.acme.id)
    with pytest.raises(NameTaken):
        submit(GrantFileRoot(id=new_id(), organization_id=world.acme.id, path=str(tmp_path)), actor=actor)


def test_what_is_not_there_is_neither_granted_nor_revoked(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for arguments, words in (
        (("grant_file_root", "nobody", str(tmp_path)), "no organization nobody"),
        (("grant_file_root", "acme", str(tmp_path / "absent")), "There is no folder"),
        (("grant_file_root", "acme", str(tmp_path / "file")), "is not a folder"),
        (("revoke_file_root", "nobody", str(tmp_path)), "no organization nobody"),
        (("revoke_file_root", "acme", str(tmp_path)), "has no root"),
    ):
        with pytest.raises(CommandError, match=words):
            run(*arguments)


def test_no_role_of_a_tenant_opens_a_folder_of_the_machine(world: World, tmp_path: Path) -> None:
    alice = actor_of(world.alice)
    with pytest.raises(NotFound):
        submit(GrantFileRoot(id=new_id(), organization_id=world.acme.id, path=str(tmp_path)), actor=alice)
    run("grant_file_root", "acme", str(tmp_path))
    with pytest.raises(NotFound):
        submit(RevokeFileRoot(organization_id=world.acme.id, path=str(tmp_path)), actor=alice)
    assert is_granted(world.acme.id, str(tmp_path))


def test_the_data_folder_is_no_root(world: World) -> None:
    with pytest.raises(CommandError, match="where Powerloom keeps its data"):
        run("grant_file_root", "acme", str(settings.HOME))
    actor = Actor.system("a test", organization_id=world.acme.id)
    for path in (settings.HOME, settings.HOME / "keys", settings.FILES / "x", settings.HOME.parent, "/", "relative"):
        with pytest.raises(Invalid):
            submit(GrantFileRoot(id=new_id(), organization_id=world.acme.id, path=str(path)), actor=actor)
    assert not FileRoot.objects.exists()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "plain path"),
        ("srv/data", "plain path"),
        ("/srv/../data", "plain path"),
        ("/srv/./data", "plain path"),
        ("/srv/data/", "plain path"),
        ("/srv//data", "plain path"),
        ("//srv/data", "plain path"),
        ("/srv/\x00data", "cannot be seen"),
        ("/srv/\u202edata", "cannot be seen"),
        ("/" + "a" * 1024, "too long"),
        ("/home/eve/.ssh", "behind .ssh"),
        ("/home/eve/.config/gcloud", "behind .config"),
        ("/", "overlaps /dev"),
        ("/proc/self", "overlaps /proc"),
        ("/sys", "overlaps /sys"),
        ("/run/secrets", "overlaps /run"),
        ("/opt", "keeps its data"),
        ("/opt/data", "keeps its data"),
        ("/opt/data/keys", "keeps its data"),
        ("/mnt/areas/one", "keeps its data"),
        ("/etc/heads", "keeps its data"),
        ("/etc/key", "keeps its data"),
    ],
)
def test_a_folder_that_may_be_no_root(settings: Any, path: str, words: str) -> None:
    settings.HOME, settings.FILES = Path("/opt/data"), Path("/mnt/areas")
    settings.AUDIT_HEADS, settings.AUDIT_KEY = Path("/etc/heads"), Path("/etc/key/audit.pem")
    assert words in fault_of(path)


def test_the_sources_are_a_root_although_the_data_folder_hides_in_them(settings: Any) -> None:
    settings.HOME = Path("/srv/powerloom/.powerloom")
    settings.FILES, settings.AUDIT_HEADS = settings.HOME / "files", settings.HOME / "audit"
    settings.AUDIT_KEY = settings.HOME / "keys" / "audit_head.pem"
    assert fault_of("/srv/powerloom") == ""
    assert fault_of("/srv/powerloom/agents") == ""
    assert "behind .powerloom" in fault_of("/srv/powerloom/.powerloom")
