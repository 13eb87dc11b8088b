"""Applying 1,000 agents as one manifest, against the published client applying the like to the same server.

The client asks for every agent by itself, so its time grows with them: it is measured on fewer, and what one more
agent takes it is counted for the rest. The machine's reconciler runs beside both.
"""

import tempfile
from pathlib import Path

from tests.bench.measure import Ratio, measured, watch
from tests.product import Product, product
from tests.published_client import ABSENT, WEAVE, Weave

AGENTS = 1000
FEW, SOME = 10, 110
PLACE = "/dev-org/engineering"


@measured
def apply() -> list[Ratio]:
    assert WEAVE.exists(), ABSENT
    with tempfile.TemporaryDirectory() as folder, product(Path(folder) / "home") as up:
        up.wait_told("Serving on")
        weave = Weave(up.url, Path(folder) / "weave")
        weave("login", "--dev-as", "admin@dev.local")
        few, some = (_theirs(weave, Path(folder), number) for number in (FEW, SOME))
        each = (some - few) / (SOME - FEW)
        theirs = some + each * (AGENTS - SOME)
        same, ours = _ours(up, "same", SOME), _ours(up, "ours", AGENTS)
        up.stop()
    return [
        Ratio(
            f"the published client's time for {AGENTS:,} agents, to ours",
            theirs / ours,
            at_least=8,
            told=f"{theirs:.0f} s, from {each * 1000:.0f} ms an agent, to {ours:.2f} s",
        ),
        Ratio(
            f"the published client's time for {SOME} agents, to ours",
            some / same,
            at_least=8,
            told=f"{some:.1f} s to {same:.2f} s",
        ),
    ]


def _theirs(weave: Weave, folder: Path, number: int) -> float:
    file = folder / f"theirs-{number}.yaml"
    file.write_text(_manifest(f"theirs-{number}", number))
    with watch() as stopped:
        rows = weave.json("apply", "-y", str(file))
    assert [row["status"] for row in rows] == ["ok"] * number
    return stopped.seconds


def _ours(up: Product, label: str, number: int) -> float:
    text = _manifest(label, number)
    with up.client("admin@dev.local") as client, watch() as stopped:
        answer = client.post(
            "/manifests/apply", content=text, headers={"Content-Type": "application/yaml"}, timeout=600
        )
    assert answer.status_code == 200, answer.text
    assert [row["status"] for row in answer.json()["resources"]] == ["applied"] * number
    return stopped.seconds


def _manifest(label: str, number: int) -> str:
    return "---\n".join(
        f"""apiVersion: powerloom/v1
kind: Agent
metadata: {{name: {label}-{one}, ou_path: {PLACE}}}
spec:
  display_name: Reviewer {one}
  model: claude-sonnet-4-6
  system_prompt: |
    Review Python code for correctness, security, and style. Be concise.
  owner_principal_ref: user:admin@dev.local
"""
        for one in range(number)
    )
