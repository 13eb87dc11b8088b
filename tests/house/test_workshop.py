"""The tools look at everything: no package is left out of a list, and make says what it can do."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

from tests.house.source import PRODUCT

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS = {contract["id"]: contract for contract in PROJECT["tool"]["importlinter"]["contracts"]}


def packages() -> set[str]:
    return {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}


def test_every_package_is_known_to_every_tool() -> None:
    apps = packages() - {"powerloom"}
    included = set(PROJECT["tool"]["uv"]["build-backend"]["module-name"])
    layers = {name.strip(" ()") for layer in CONTRACTS["layers"]["layers"] for name in re.split(r"[:|]", layer)}
    assert packages() == PRODUCT == included == set(PROJECT["tool"]["importlinter"]["root_packages"])
    assert apps == set(CONTRACTS["inside"]["containers"])
    assert apps <= layers


def test_every_part_of_the_project_has_a_layer() -> None:
    modules = {path.stem for path in (ROOT / "powerloom").glob("*.py")}
    folders = {path.parent.name for path in (ROOT / "powerloom").glob("*/__init__.py")}
    layers = " ".join(CONTRACTS["layers"]["layers"])
    below_all = {"__init__", "settings"}
    assert {part for part in modules | folders if f"(powerloom.{part})" not in layers} == below_all


def test_make_help_names_every_target() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for target in ("up", "test", "lint", "bench", "env", "lock", "clean"):
        assert re.search(rf"^  {target} +\w", shown, re.MULTILINE), target


def test_every_exclusion_of_ruff_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    section = text[text.index("[tool.ruff.lint]") : text.index("[tool.ruff.format]")]
    for line in section.splitlines():
        if re.match(r'\s+"[A-Z]+\d*",', line):
            assert re.search(r"# \w+", line), line
