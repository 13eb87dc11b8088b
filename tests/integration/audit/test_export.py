import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command

from powerloom.audit.heads import public_pem
from powerloom.audit.signing import sign
from tests.integration.audit.trails import ACME, GLOBEX, append, rewrite_from

REPOSITORY = Path(__file__).parents[3]


def exported(tmp_path: Path, *, organization: str | None = None) -> Path:
    output = tmp_path / "export.jsonl"
    call_command("export_audit", output=output, organization=organization)
    return output


def offline(export: Path, *options: object) -> tuple[int, str]:
    """Run the verifier as somebody else would: another process, without Django's settings."""
    command = [sys.executable, "-m", "powerloom.audit.offline", str(export), *map(str, options)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, env={"PATH": ""})
    assert done.stderr == ""
    return done.returncode, done.stdout


def parts(export: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in export.read_text().splitlines()]


def changed(export: Path, change: object) -> Path:
    """Write the export anew after a change of its parsed lines."""
    assert callable(change)
    found = change(parts(export))
    export.write_text("".join(f"{json.dumps(part)}\n" for part in found))
    return export


@pytest.fixture
def signed_trail(db: None) -> None:
    append(3, ACME)
    append(2, GLOBEX)
    sign()
    append(1, ACME)
    sign()


@pytest.mark.usefixtures("signed_trail")
class TestEverything:
    def test_an_honest_export_is_intact(self, tmp_path: Path, heads: Path) -> None:
        status, said = offline(exported(tmp_path), "--public-key", heads / "head.pub")
        assert status == 0
        assert f"{ACME}: intact, 4 entries, signed up to 4" in said
        assert f"{GLOBEX}: intact, 2 entries, signed up to 2" in said

    def test_the_export_is_its_owners_alone_and_overwrites_nothing(self, tmp_path: Path) -> None:
        output = exported(tmp_path)
        assert stat.S_IMODE(output.stat().st_mode) == 0o600
        with pytest.raises(CommandError, match="exists"):
            exported(tmp_path)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (
                lambda found: [p for p in found if p.get("seq") != 2 or p.get("chain") != str(ACME)],
                "entry 2 is missing",
            ),
            (lambda found: [p | ({"body": "{}"} if p.get("seq") == 3 else {}) for p in found], "its body was altered"),
            (lambda found: found[:-1], "ends early"),
            (lambda found: [*found, found[-1]], "after the end"),
            (
                lambda found: [
                    *[p for p in found if p.get("chain") != str(GLOBEX)][:-1],
                    {"kind": "end", "entries": 4},
                ],
                "the whole chain is gone",
            ),
            (
                lambda found: [p for p in found if p["kind"] != "heads" or '"number":1,' not in str(p["line"])],
                "does not follow",
            ),
            (lambda found: found[1:], "not an audit export"),
            (lambda _: [], "not an audit export"),
        ],
        ids=[
            "entry gone",
            "altered",
            "cut",
            "more after the end",
            "chain gone",
            "head record gone",
            "no opening",
            "empty",
        ],
    )
    def test_a_changed_export_is_named(self, tmp_path: Path, heads: Path, change: object, words: str) -> None:
        status, said = offline(changed(exported(tmp_path), change), "--public-key", heads / "head.pub")
        assert status == 1
        assert words in said

    def test_a_cut_tail_is_found_against_the_heads_in_the_export(self, tmp_path: Path, heads: Path) -> None:
        def cut(found: list[dict[str, object]]) -> list[dict[str, object]]:
            kept = [part for part in found if not (part.get("chain") == str(ACME) and part["seq"] == 4)]
            return [*kept[:-1], {"kind": "end", "entries": 5}]

        status, said = offline(changed(exported(tmp_path), cut), "--public-key", heads / "head.pub")
        assert status == 1
        assert f"{ACME}: BROKEN at 4: the tail is cut off" in said

    def test_heads_kept_elsewhere_find_what_was_cut_off_the_export_with_its_heads(
        self, tmp_path: Path, heads: Path
    ) -> None:
        def cut(found: list[dict[str, object]]) -> list[dict[str, object]]:
            kept = [part for part in found if not (part.get("chain") == str(ACME) and part["seq"] == 4)]
            kept = [part for part in kept if '"number":2' not in str(part.get("line"))]
            return [*kept[:-1], {"kind": "end", "entries": 5}]

        export = changed(exported(tmp_path), cut)
        assert offline(export, "--public-key", heads / "head.pub")[0] == 0
        status, said = offline(export, "--public-key", heads / "head.pub", "--heads", heads / "heads.jsonl")
        assert status == 1
        assert "entry 4 was signed, the chain ends at 3" in said

    def test_without_any_signed_head_the_status_says_so(self, tmp_path: Path, heads: Path) -> None:
        def strip(found: list[dict[str, object]]) -> list[dict[str, object]]:
            return [part for part in found if part["kind"] != "heads"]

        status, said = offline(changed(exported(tmp_path), strip), "--public-key", heads / "head.pub")
        assert status == 2
        assert "NOT SIGNED" in said

    def test_a_rewrite_by_the_owner_of_the_database_is_named(self, tmp_path: Path, heads: Path) -> None:
        rewrite_from(ACME, 4)
        status, said = offline(exported(tmp_path), "--public-key", heads / "head.pub")
        assert status == 1
        assert f"{ACME}: BROKEN at 4: entries 4 to 4 are not those" in said

    def test_heads_of_another_key_do_not_count(self, tmp_path: Path, heads: Path) -> None:
        other = tmp_path / "other.pub"
        other.write_text(public_pem(Ed25519PrivateKey.generate().public_key()))
        status, said = offline(exported(tmp_path), "--public-key", other)
        assert status == 1
        assert "not signed with this key" in said


@pytest.mark.usefixtures("signed_trail")
class TestOneOrganization:
    def test_it_is_intact_and_signed(self, tmp_path: Path, heads: Path) -> None:
        status, said = offline(exported(tmp_path, organization="acme"), "--public-key", heads / "head.pub")
        assert (status, said) == (0, f"{ACME}: intact, 4 entries, signed up to 4\n")

    def test_nothing_of_another_tenant_is_in_it(self, tmp_path: Path) -> None:
        text = exported(tmp_path, organization="acme").read_text()
        assert str(GLOBEX) not in text
        assert "globex" not in text

    def test_a_cut_tail_is_named(self, tmp_path: Path, heads: Path) -> None:
        def cut(found: list[dict[str, object]]) -> list[dict[str, object]]:
            return [
                *[part for part in found if part.get("seq") != 4 or part["kind"] == "head"][:-1],
                {"kind": "end", "entries": 3},
            ]

        export = changed(exported(tmp_path, organization="acme"), cut)
        status, said = offline(export, "--public-key", heads / "head.pub")
        assert status == 1
        assert "BROKEN at 4" in said

    def test_an_altered_head_is_named(self, tmp_path: Path, heads: Path) -> None:
        def alter(found: list[dict[str, object]]) -> list[dict[str, object]]:
            return [part | ({"seq": 3} if part["kind"] == "head" else {}) for part in found]

        status, said = offline(
            changed(exported(tmp_path, organization="acme"), alter), "--public-key", heads / "head.pub"
        )
        assert status == 1
        assert "is not signed with this key" in said

    def test_an_unknown_organization_is_said_and_no_file_is_left(self, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="initech"):
            exported(tmp_path, organization="initech")
        assert not (tmp_path / "export.jsonl").exists()


def test_the_verifier_imports_no_django() -> None:
    code = "import sys, powerloom.audit.offline; sys.exit(any(name.startswith('django') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0
