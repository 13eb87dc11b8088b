import json
import stat
from pathlib import Path
from uuid import UUID

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import override_settings

from powerloom.audit import log
from powerloom.audit.head_files import HeadFile, KeyTrouble, shared
from powerloom.audit.heads import BadHeads
from powerloom.audit.models import ChainHead, Entry
from powerloom.audit.signing import sign
from powerloom.audit.tasks import sign_heads
from powerloom.kernel.refs import Actor, Target
from tests.database import Committed, Race
from tests.integration.audit.trails import ACME, GLOBEX, append, as_owner, raw, rewrite_from


def lines(folder: Path) -> list[str]:
    return (folder / "heads.jsonl").read_text().splitlines()


def test_a_record_says_where_every_chain_that_moved_stands(db: None, heads: Path) -> None:
    append(2, ACME)
    append(1, GLOBEX)
    sign()
    append(1, GLOBEX)
    sign()
    first, second = (json.loads(line) for line in lines(heads))
    assert {head["chain"]: head["seq"] for head in first["heads"]} == {str(ACME): 2, str(GLOBEX): 1}
    assert {head["chain"]: head["seq"] for head in second["heads"]} == {str(GLOBEX): 2}
    assert (first["number"], second["number"]) == (1, 2)
    assert first["prev"] == "0" * 64


def test_nothing_new_signs_nothing(db: None, heads: Path) -> None:
    append(1)
    sign()
    assert sign().heads == []
    assert len(lines(heads)) == 1


def test_the_fold_of_all_records_is_the_newest_head_of_every_chain(db: None, heads: Path) -> None:
    for _ in range(3):
        append(1, ACME)
        append(2, GLOBEX)
        sign()
    known = HeadFile(heads, keep=True).log()
    assert known is not None
    assert {chain: statement.head.seq for chain, statement in known.newest.items()} == {ACME: 3, GLOBEX: 6}
    assert [head.seq for head in known.heads_of(GLOBEX)] == [2, 4, 6]


def test_the_private_key_is_its_owners_alone_and_not_in_the_folder_of_the_heads(db: None, heads: Path) -> None:
    append(1)
    sign()
    assert stat.S_IMODE(settings.AUDIT_KEY.stat().st_mode) == 0o600
    assert sorted(path.name for path in heads.iterdir()) == ["head.pub", "heads.jsonl"]
    assert not any(b"PRIVATE" in path.read_bytes() for path in heads.iterdir())


def test_a_key_that_others_may_read_signs_nothing(db: None) -> None:
    append(1)
    sign()
    settings.AUDIT_KEY.chmod(0o640)
    with pytest.raises(KeyTrouble, match="chmod 600"):
        sign()


def test_a_lost_key_is_not_silently_replaced(db: None) -> None:
    append(1)
    sign()
    settings.AUDIT_KEY.unlink()
    with pytest.raises(KeyTrouble, match="Put it back"):
        sign()


def test_another_key_cannot_go_on_with_the_log(db: None, tmp_path: Path) -> None:
    append(1)
    sign()
    with override_settings(AUDIT_HEADS=tmp_path / "elsewhere", AUDIT_KEY=tmp_path / "other.pem"):
        sign()
    with override_settings(AUDIT_KEY=tmp_path / "other.pem"), pytest.raises(KeyTrouble, match="not the one"):
        sign()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda found: [found[0].replace('"seq":1', '"seq":7'), *found[1:]], "record 1"),
        (lambda found: [found[0], found[2]], "record 2"),
        (lambda found: found[1:], "record 1"),
        (lambda found: [found[0], found[0], *found[1:]], "record 2"),
        (lambda _: ["nonsense"], "record 1"),
        (lambda _: ["[]"], "record 1"),
    ],
    ids=["altered", "one missing", "first missing", "one twice", "no JSON", "no record"],
)
def test_a_changed_head_log_is_named(db: None, heads: Path, change: object, named: str) -> None:
    for _ in range(3):
        append(1)
        sign()
    assert callable(change)
    (heads / "heads.jsonl").write_text("".join(f"{line}\n" for line in change(lines(heads))))
    with pytest.raises(BadHeads, match=named):
        HeadFile(heads).log()


def test_a_half_written_record_is_dropped_by_the_next_signer(db: None, heads: Path) -> None:
    append(1)
    sign()
    with (heads / "heads.jsonl").open("a") as file:
        file.write('{"v":1,"kind":"he')
    known = HeadFile(heads).log()
    assert known is not None
    assert known.number == 1
    append(1)
    sign()
    assert [json.loads(line)["number"] for line in lines(heads)] == [1, 2]


def test_only_what_was_appended_is_read_again(db: None) -> None:
    append(1)
    sign()
    known = shared().log()
    append(1)
    sign()
    assert shared().log() is known
    assert known is not None
    assert known.number == 2


def test_two_signers_at_once_make_one_log(committed_db: Committed, race: Race, heads: Path) -> None:
    append(3)
    race(sign, sign, sign)
    known = HeadFile(heads).log()
    assert known is not None
    assert known.newest[ACME].head.seq == 3
    assert len(lines(heads)) == 1


def test_a_rewritten_chain_is_not_signed_and_the_others_are(db: None) -> None:
    append(3, ACME)
    append(1, GLOBEX)
    sign()
    rewrite_from(ACME, 2)
    append(1, ACME)
    append(1, GLOBEX)
    signed = sign()
    assert [head.chain for head in signed.heads] == [GLOBEX]
    assert signed.faults == {ACME: "entry 3: it is not the entry that was signed"}


def test_an_entry_altered_before_it_was_signed_is_not_signed(db: None) -> None:
    append(3)
    as_owner("UPDATE control_plane_audit SET body = 'x' WHERE seq = 2")
    assert sign().faults == {ACME: "entry 2: its body was altered"}


@pytest.mark.parametrize("also_head", [True, False])
def test_a_restored_old_copy_is_not_signed(db: None, also_head: bool) -> None:
    append(4)
    sign()
    as_owner("DELETE FROM control_plane_audit WHERE chain_id = %s AND seq > 2", raw(ACME))
    if also_head:
        ChainHead.objects.all().delete()
    assert "entry 4 was signed and is gone" in sign().faults[ACME]


def test_the_scheduled_task_signs_when_embedded(db: None, heads: Path) -> None:
    append(1)
    with override_settings(EMBEDDED=True):
        sign_heads()
    assert len(lines(heads)) == 1


def test_the_scheduled_task_does_not_touch_the_key_when_distributed(db: None, heads: Path) -> None:
    append(1)
    with override_settings(EMBEDDED=False):
        sign_heads()
    assert not settings.AUDIT_KEY.exists()
    assert not heads.exists()


def test_the_task_says_loudly_what_it_did_not_sign(db: None, caplog: pytest.LogCaptureFixture) -> None:
    append(2)
    as_owner("UPDATE control_plane_audit SET body = 'x' WHERE seq = 2")
    with override_settings(EMBEDDED=True):
        sign_heads()
    assert [(record.levelname, record.chain) for record in caplog.records] == [("CRITICAL", str(ACME))]  # type: ignore[attr-defined]  # our field


def test_the_command_names_what_it_signed_and_fails_on_a_fault(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    append(2)
    call_command("sign_heads")
    assert "signed acme at 2" in capsys.readouterr().out
    as_owner("DELETE FROM control_plane_audit WHERE seq = 2")
    with pytest.raises(CommandError):
        call_command("sign_heads")
    assert "NOT SIGNED acme" in capsys.readouterr().err


def test_the_installations_own_chain_is_signed_too(db: None, heads: Path) -> None:
    nobody = Target("installation", UUID(int=1), "", None, "")
    log.record(log.Record("installation:rotate_keys", "", nobody), actor=Actor.system("rotate"))
    sign()
    assert Entry.objects.get().chain_id == UUID(int=0)
    assert json.loads(lines(heads)[0])["heads"][0]["chain"] == str(UUID(int=0))
