"""Profiles lie in one file that only its owner reads, whole at every moment."""

import json
import os
import stat
from pathlib import Path

import httpx
import pytest

from powerloom.cli import client, profiles
from powerloom.cli.profiles import BadProfiles, Profile, Profiles

TOKEN = "plm_of_nobody"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("WEAVE_URL", "WEAVE_TOKEN", "WEAVE_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WEAVE_HOME", str(tmp_path / "weave"))
    return tmp_path / "weave"


def test_what_is_kept_is_read_again_by_its_owner_alone(home: Path) -> None:
    before = os.umask(0)
    try:
        profiles.save(Profiles().keeping(Profile("work", "https://p.example/api", TOKEN, "a@b.example", "id")))
    finally:
        os.umask(before)
    assert stat.S_IMODE((home / "profiles.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert [path.name for path in home.iterdir()] == ["profiles.json"]
    found = profiles.load().choose(None)
    assert (found.name, found.token, found.token_id) == ("work", TOKEN, "id")
    assert TOKEN not in repr(found)


def test_a_file_that_others_may_read_is_closed_to_them(home: Path) -> None:
    profiles.save(Profiles().keeping(Profile("work", token=TOKEN)))
    (home / "profiles.json").chmod(0o644)
    profiles.load()
    assert stat.S_IMODE((home / "profiles.json").stat().st_mode) == 0o600


def test_a_write_that_fails_leaves_the_old_file_and_no_other(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profiles.save(Profiles().keeping(Profile("work", token=TOKEN)))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BadProfiles, match="No space left"):
        profiles.save(Profiles())
    assert profiles.load().named.keys() == {"work"}
    assert [path.name for path in home.iterdir()] == ["profiles.json"]


def test_the_environment_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Profiles().keeping(Profile("a", "https://a.example", "t", token_id="id")).keeping(Profile("b"))
    assert kept.choose(None).name == "a"
    monkeypatch.setenv("WEAVE_PROFILE", "b")
    assert (kept.choose(None).name, kept.choose("a").name) == ("b", "a")
    monkeypatch.setenv("WEAVE_TOKEN", "other")
    monkeypatch.setenv("WEAVE_URL", "https://c.example")
    assert kept.choose("a") == Profile("a", "https://c.example", "other")


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"current": "a", "profiles": {"a": {"unknown": 1}}})])
def test_a_broken_file_is_named(home: Path, text: str) -> None:
    home.mkdir()
    (home / "profiles.json").write_text(text)
    with pytest.raises(BadProfiles, match=r"profiles\.json cannot be read"):
        profiles.load()


def test_a_kept_token_goes_to_its_own_server_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Profiles().keeping(Profile("a", "https://a.example/api", "t", "a@b.example", "id"))
    for url in ("https://a.example", "a.example/api", "https://A.example/"):
        monkeypatch.setenv("WEAVE_URL", url)
        assert kept.choose(None).token == "t"
    for url in ("https://evil.example", "http://a.example", "https://a.example:444", "https://a.example@evil.example"):
        monkeypatch.setenv("WEAVE_URL", url)
        assert kept.choose(None) == Profile("a", url)


def test_a_form_whose_answer_is_lost_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def lose(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        raise httpx.ReadError("lost")

    monkeypatch.setattr(client, "transport", httpx.MockTransport(lose))
    with pytest.raises(client.Unreachable):
        client.Client("https://p.example").form("/form", device_code="x")
    with pytest.raises(client.Unreachable):
        client.Client("https://p.example").post("/write")
    assert asked == ["/form", "/write", "/write"]
