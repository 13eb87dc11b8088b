"""The look keeps its promises: contrast in both themes, hashes of what is vendored, icons that exist, state words as
agreed.
"""

import base64
import gzip
import hashlib
import re
from pathlib import Path

import pytest

from powerloom.console.navigation import OPERATOR_ROOM, ROOMS
from powerloom.console.states import STATES, badge

ROOT = Path(__file__).parents[3]
TOKENS = (ROOT / "static/css/tokens.css").read_text()
BASE = (ROOT / "templates/base.html").read_text()
PAIR = re.compile(r"--(?P<name>[\w-]+): light-dark\((?P<light>#[0-9a-f]{6}), (?P<dark>#[0-9a-f]{6})\);")
COLORS = {found["name"]: (found["light"], found["dark"]) for found in PAIR.finditer(TOKENS)}
TEXTS = ["ink", "muted", "accent", "ok", "warn", "bad", "busy", "held"]


def luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["paper", "raised"])
@pytest.mark.parametrize("text", TEXTS)
def test_text_stands_out_from_its_ground(text: str, ground: str, theme: int) -> None:
    assert contrast(COLORS[text][theme], COLORS[ground][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["paper", "raised"])
def test_the_edge_of_a_control_stands_out(ground: str, theme: int) -> None:
    assert contrast(COLORS["edge"][theme], COLORS[ground][theme]) >= 3


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_the_word_on_a_primary_button_stands_out(theme: int) -> None:
    assert contrast(COLORS["on-accent"][theme], COLORS["accent"][theme]) >= 4.5


def test_every_color_is_written_in_the_tokens_alone() -> None:
    others = [path for path in (ROOT / "static/css").glob("*.css") if path.name != "tokens.css"]
    strays = {path.name: re.findall(r"#[0-9a-f]{3,8}\b", path.read_text()) for path in others}
    allowed = {"shell.css": ["#a7b0ec", "#4b55a8"]}  # the mark's second tone
    assert {name: found for name, found in strays.items() if found} == allowed


@pytest.mark.parametrize("name", ["htmx-2.0.11.min.js", "idiomorph-0.8.0.min.js"])
def test_a_vendored_script_is_the_one_that_was_checked(name: str) -> None:
    digest = hashlib.sha384((ROOT / "static/vendor" / name).read_bytes()).digest()
    integrity = f"sha384-{base64.b64encode(digest).decode()}"
    tag = next(line for line in BASE.splitlines() if name in line)
    assert f'integrity="{integrity}"' in tag
    assert integrity in (ROOT / "static/vendor/README.md").read_text()


def test_the_sprite_holds_the_icons_that_are_named_and_no_others() -> None:
    sprite = set(re.findall(r'<symbol id="([\w-]+)"', (ROOT / "static/img/icons.svg").read_text()))
    named = {shown.icon for family in STATES.values() for shown in family.values()}
    named |= {room.icon for room in (*ROOMS, OPERATOR_ROOM)}
    for template in (ROOT / "templates").rglob("*.html"):
        named |= set(re.findall(r'{% icon "([\w-]+)"', template.read_text()))
        named |= set(re.findall(r'picture="([\w-]+)"', template.read_text()))
    assert named == sprite


def test_the_state_words_are_the_agreed_ones() -> None:
    words = {family: [shown.word for shown in STATES[family].values()] for family in STATES}
    assert words["sync"] == ["Synced", "Pending", "Syncing", "Waiting", "Drifted", "Parked"]
    assert words["health"] == ["Ready", "Degraded", "Unreachable", "Frozen"]
    assert words["session"] == [
        "Pending",
        "Running",
        "Waiting for approval",
        "Idle",
        "Terminated",
        "Timed out",
        "Failed",
    ]
    assert words["approval"] == ["Pending", "Approved", "Applied", "Rejected", "Cancelled", "Expired", "Failed"]


def test_a_state_nobody_knows_is_shown_as_it_is_stored() -> None:
    assert badge("sync", "half_way").word == "Half way"


def test_all_assets_together_are_lighter_than_one_page_may_be() -> None:
    shipped = [path for part in ("css", "js", "vendor") for path in (ROOT / "static" / part).rglob("*.[cj]s*")]
    shipped += [ROOT / "static/img/icons.svg", ROOT / "static/img/mark.svg", ROOT / "static/img/weave.svg"]
    weight = sum(len(gzip.compress(path.read_bytes())) for path in shipped)
    assert weight < 150_000, "a page ships at most 150 kB, compressed"
