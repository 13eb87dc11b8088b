import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from powerloom.kernel.envelope import KeyMissing
from powerloom.kernel.key_file import KeyFile, KeyFileExposed


def test_the_first_use_makes_a_key_only_the_owner_may_read(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys" / "master.json")
    key = file.current()
    assert len(key.key) == 32
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert KeyFile(file.path).named(key.id) == key


def test_a_rotation_is_seen_by_other_processes_and_keeps_the_old_key(tmp_path: Path) -> None:
    one, other = KeyFile(tmp_path / "master.json"), KeyFile(tmp_path / "master.json")
    old = other.current()
    new = one.rotate()
    assert other.current() == new != old
    assert other.named(old.id) == old


def test_processes_that_start_together_agree_on_the_first_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        keys = list(threads.map(lambda _: KeyFile(tmp_path / "master.json").current(), range(16)))
    assert len(set(keys)) == 1


def test_rotations_at_the_same_time_lose_no_key(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "master.json")
    file.current()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: KeyFile(file.path).rotate(), range(8)))
    assert len(json.loads(file.path.read_text())["keys"]) == 9


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "master.json")
    file.current()
    file.path.chmod(0o640)
    with pytest.raises(KeyFileExposed, match="chmod 600"):
        file.current()


def test_an_unknown_key_is_missing(tmp_path: Path) -> None:
    with pytest.raises(KeyMissing, match="local-7"):
        KeyFile(tmp_path / "master.json").named("local-7")
