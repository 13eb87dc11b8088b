"""Takes the README's pictures of the console anew: `python -m tests.pictures`.

Starts the product with a fresh data folder, runs the main job, has changes held by a policy, and photographs both.
"""

import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.browser import ARGUMENTS, CHROMIUM
from tests.product import Product, product
from tests.programs import ROOT

FOLDER = ROOT / "static" / "img" / "readme"
SIZE: ViewportSize = {"width": 1280, "height": 800}
PLACE = "/dev-org/engineering"
CAREFUL = """Review Python code for correctness, security, and style.
Flag potential bugs. Suggest improvements. Be concise.
Never approve a migration that drops a column.
"""


def main() -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, product(Path(folder) / "home") as up:
        up.wait_told("Serving on", within=120)
        hold_changes(up)
        with (
            sync_playwright() as playwright,
            playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS) as browser,
        ):
            with signed_in(browser, up, "admin@dev.local", "light") as page:
                take_session(page, up)
            with signed_in(browser, up, "vera@dev.local", "dark") as page:
                take_inbox(page, up)
        up.stop()
    return 0


def hold_changes(up: Product) -> None:
    """Have Vera asked about what Erin wants to change."""
    with up.client("admin@dev.local") as admin, up.client("erin@dev.local") as erin:
        place = next(ou["id"] for ou in admin.get("/ous").json() if ou["path"] == PLACE)
        approver = next(role["id"] for role in admin.get("/roles").json() if role["name"] == "Approver")
        gate = {"name": "engineering-agents", "scope_ou_id": place, "approver_role_id": approver}
        admin.post("/approval-policies", json=gate | {"action_pattern": "agent:*"}).raise_for_status()
        new = {"name": "release-notes", "display_name": "Release notes", "ou_id": place, "agent_kind": "user"}
        said = {"model": "claude-sonnet-4-6", "system_prompt": "Write release notes from merged pull requests.\n"}
        erin.post("/agents", json=new | said).raise_for_status()
        agent = admin.get("/agents", params={"name": "code-reviewer"}).json()[0]["id"]
        why = {"X-Approval-Justification": "The last release dropped a column that a job still read."}
        erin.patch(f"/agents/{agent}", json={"system_prompt": CAREFUL}, headers=why).raise_for_status()


@contextmanager
def signed_in(browser: Browser, up: Product, email: str, theme: str) -> Iterator[Page]:
    """A page of this person in the theme."""
    with browser.new_context(viewport=SIZE, color_scheme="dark" if theme == "dark" else "light") as context:
        page = context.new_page()
        page.goto(up.url)
        page.get_by_role("button", name=email).click()
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        yield page


def take_session(page: Page, up: Product) -> None:
    page.goto(f"{up.url}/sessions")
    page.get_by_role("link", name=re.compile("PR #42 review")).first.click()
    expect(page.locator(".event").last).to_contain_text("At rest")
    expect(page.locator("#live")).to_have_text("Live")
    page.locator(".event").filter(has_text="repo-files.list_files").first.locator(".seq").first.click()
    expect(page.locator("#inspector")).to_contain_text("agent.mcp_tool_use")
    page.evaluate("window.scrollTo(0, 0)")
    save(page, "session-light")


def take_inbox(page: Page, up: Product) -> None:
    page.goto(f"{up.url}/approvals")
    expect(page.locator("[data-card]")).to_have_count(2)
    save(page, "approvals-dark")


def save(page: Page, name: str) -> None:
    page.screenshot(path=FOLDER / f"{name}.png", animations="disabled")
    print(FOLDER / f"{name}.png")


if __name__ == "__main__":
    sys.exit(main())
