"""Takes the README's pictures of the console anew: `python -m tests.pictures`.

Starts the product with a fresh data folder, runs the main job, and photographs what it left.
"""

import re
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

from tests.browser import ARGUMENTS, CHROMIUM
from tests.product import ROOT, Product, product

FOLDER = ROOT / "static" / "img" / "readme"
SIZE: ViewportSize = {"width": 1440, "height": 900}


def main() -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, product(Path(folder) / "home") as up:
        up.wait_told("Serving on", within=120)
        with (
            sync_playwright() as playwright,
            playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS) as browser,
        ):
            for theme in ("light", "dark"):
                with browser.new_context(viewport=SIZE, color_scheme=theme) as context:
                    take(context.new_page(), up, theme)
        up.stop()
    return 0


def take(page: Page, up: Product, theme: str) -> None:
    page.goto(up.url)
    page.get_by_role("button", name="admin@dev.local").click()
    page.goto(f"{up.url}/sessions")
    page.get_by_role("link", name=re.compile("PR #42 review")).first.click()
    expect(page.locator(".event").last).to_contain_text("At rest")
    save(page, f"session-{theme}")
    page.goto(f"{up.url}/agents")
    page.get_by_role("link", name="code-reviewer").click()
    expect(page.get_by_role("heading", name="Code Reviewer")).to_be_visible()
    save(page, f"agent-{theme}")


def save(page: Page, name: str) -> None:
    page.screenshot(path=FOLDER / f"{name}.png")
    print(FOLDER / f"{name}.png")


if __name__ == "__main__":
    sys.exit(main())
