"""The trail under attack by somebody who owns the database: every attack of the rules is named."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from powerloom.audit.head_files import HeadFile
from powerloom.audit.models import ChainHead, Entry
from powerloom.audit.signing import sign
from powerloom.audit.verification import COPIED_IDS, COPIES, verify_chain
from tests.integration.audit.trails import ACME, GLOBEX, append, as_owner, raw, rewrite_from


def verified(heads: Path, chain: object = ACME) -> tuple[int | None, str]:
    assert isinstance(chain, type(ACME))
    verdict = verify_chain(chain, HeadFile(heads, keep=True).log())
    return verdict.bad_seq, verdict.reason


def broken(capsys: pytest.CaptureFixture[str]) -> list[str]:
    with pytest.raises(CommandError):
        call_command("verify_audit")
    return [line for line in capsys.readouterr().out.splitlines() if "BROKEN" in line and "trigger" not in line]


def test_an_honest_trail_is_intact(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    append(3, ACME)
    append(2, GLOBEX)
    sign()
    call_command("verify_audit")
    out = capsys.readouterr().out
    assert f"acme ({ACME}): 3 entries, intact, signed up to 3" in out
    assert f"globex ({GLOBEX}): 2 entries, intact, signed up to 2" in out


def test_entries_after_the_newest_head_are_not_a_fault(db: None, heads: Path) -> None:
    append(2)
    sign()
    append(2)
    assert verified(heads) == (None, "")


def test_an_altered_body_is_named(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    append(5, ACME)
    append(1, GLOBEX)
    as_owner(
        "UPDATE control_plane_audit SET body = replace(body, 'claude', 'x') || ' ' WHERE chain_id = %s AND seq = 3",
        raw(ACME),
    )
    assert broken(capsys) == [f"BROKEN acme ({ACME}): entry 3: its body was altered"]


def test_a_rewrite_with_new_hashes_is_named(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    append(2)
    sign()
    append(4)
    sign()
    rewrite_from(ACME, 4)
    assert verify_chain(ACME).is_intact, "the chain alone cannot tell"
    assert "entry 3: entries 3 to 6 are not those whose head was signed" in broken(capsys)[0]


def test_a_restored_old_backup_is_named(db: None, heads: Path) -> None:
    append(6)
    sign()
    as_owner("DELETE FROM control_plane_audit WHERE seq > 4")
    ChainHead.objects.update(seq=4, hash=Entry.objects.get(seq=4).hash)
    bad, reason = verified(heads)
    assert bad == 5
    assert "an old copy was restored" in reason


def test_a_restored_backup_that_has_grown_again_is_named(db: None, heads: Path) -> None:
    append(6)
    sign()
    as_owner("DELETE FROM control_plane_audit WHERE seq > 4")
    ChainHead.objects.update(seq=4, hash=Entry.objects.get(seq=4).hash)
    append(4, saying="after the restore")
    bad, reason = verified(heads)
    assert bad == 1
    assert "rewritten" in reason


def test_swapped_chains_are_named(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    append(2, ACME)
    append(2, GLOBEX)
    limbo = raw(type(ACME)(int=0xFFF))
    for old, new in ((raw(ACME), limbo), (raw(GLOBEX), raw(ACME)), (limbo, raw(GLOBEX))):
        as_owner("UPDATE control_plane_audit SET chain_id = %s WHERE chain_id = %s", new, old)
        as_owner("UPDATE audit_chainhead SET chain_id = %s WHERE chain_id = %s", new, old)
    found = broken(capsys)
    assert len(found) == 2
    assert all("entry 1: its body belongs to another chain" in line for line in found)


def test_a_dropped_organization_is_named(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    append(3, ACME)
    append(1, GLOBEX)
    sign()
    as_owner("DELETE FROM control_plane_audit WHERE chain_id = %s", raw(ACME))
    ChainHead.objects.filter(pk=ACME).delete()
    assert broken(capsys) == [f"BROKEN {ACME} ({ACME}): entry 1: the whole chain is gone: entry 3 was signed"]


@pytest.mark.parametrize("column", [*COPIES, *COPIED_IDS])
def test_a_search_column_that_differs_from_its_body_is_named(db: None, heads: Path, column: str) -> None:
    append(3)
    value: object = "2020-01-01 00:00:00+00:00" if column == "created_at" else "forged"
    if column in COPIED_IDS:
        value = raw(GLOBEX)
    as_owner(f"UPDATE control_plane_audit SET {column} = %s WHERE seq = 2", value)  # noqa: S608  ours
    assert verified(heads) == (2, f"its column {column} does not say what its body says")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seq": 2}, "lies behind"),
        ({"seq": 9}, "says that entry 9 was written"),
        ({"hash": "f" * 64}, "another hash"),
    ],
)
def test_a_changed_head_row_is_named(db: None, heads: Path, change: dict[str, object], words: str) -> None:
    append(3)
    ChainHead.objects.update(**change)
    bad, reason = verified(heads)
    assert bad == 4
    assert words in reason


def test_missing_guards_are_a_fault(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    append(1)
    as_owner("UPDATE control_plane_audit SET seq = seq")
    with pytest.raises(CommandError):
        call_command("verify_audit")
    assert "is missing" in capsys.readouterr().out


def test_a_copy_of_the_heads_kept_elsewhere_finds_what_was_cut_off_both(
    db: None, heads: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    append(2)
    sign()
    short = (heads / "heads.jsonl").read_text()
    append(2)
    sign()
    kept = tmp_path / "kept.jsonl"
    kept.write_text((heads / "heads.jsonl").read_text())
    (heads / "heads.jsonl").write_text(short)
    as_owner("DELETE FROM control_plane_audit WHERE seq > 2")
    ChainHead.objects.update(seq=2, hash=Entry.objects.get(seq=2).hash)
    with pytest.raises(CommandError):
        call_command("verify_audit", heads=kept, public_key=heads / "head.pub")
    assert "entry 4 was signed, the chain ends at 2" in capsys.readouterr().out


def test_a_broken_head_log_is_a_fault_and_the_chains_are_still_looked_at(
    db: None, heads: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    append(2)
    sign()
    (heads / "heads.jsonl").write_text("nonsense\n")
    found = broken(capsys)
    assert found == ["BROKEN record 1 of the head log is not JSON"]
