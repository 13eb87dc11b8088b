"""A walk through every page of the console: each is opened once, then turned dark and made narrow in place.

for address in addresses(things_of(admin)):
    page.goto(address)
    shut_out = barriers(page)          what keeps somebody out, in either theme
    wide = too_wide(page)              the widths at which the page is wider than the screen
"""

from typing import Any

import httpx
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.addresses import PAGES, address_of
from tests.waiting import until

PLACE, ELSEWHERE = "/dev-org/engineering", "/dev-org/sales"
WIDTHS = (360, 768, 1600)
SERIOUS = ("serious", "critical")
# The themes differ in nothing but colors. The frame is the same on every page: the first is enough. So are some rows of
# a table and some of its cells, some lines of a JSON tree, and some groups of choices.
SAME = (
    "#rail",
    "#palette",
    "#keys",
    "datalist",
    "tr:nth-child(n+7)",
    ":is(td, th):nth-child(n+10)",
    ".json li:nth-child(n+7)",
    ".turn > .event:nth-child(n+7)",
    ".choices-by-group > details:nth-child(n+5)",
)
LOOK = """async ([serious, same]) => {
  const where = same.length ? {exclude: same.map((one) => [one])} : document;
  const asked = {resultTypes: ["violations"], preload: false};  // no rule that is asked reads style sheets
  const light = await axe.run(where, asked);
  document.documentElement.dataset.theme = "dark";
  const dark = await axe.run(where, {...asked, runOnly: ["color-contrast"]});
  return Object.entries({light, dark}).flatMap(([theme, found]) => found.violations
    .filter((one) => serious.includes(one.impact))
    .flatMap((one) => one.nodes.map((node) => `${theme}: ${one.id}: ${node.html.slice(0, 200)}`)));
}"""
COMING = "[hx-trigger=load][hx-swap=outerHTML], [hx-trigger=load] > p:text('Loading')"  # what other rooms send
WIDER = "document.documentElement.scrollWidth > innerWidth"

TABS = {  # but for those that show a list which has a page
    "agents:detail": ("prompt", "skills", "servers", "credentials", "versions", "sync"),
    "agents:server": ("tools", "policy", "config", "calls"),
    "agents:skill": ("versions", "files", "agents", "access"),
    "approvals:list": ("mine", "recent"),
}
BEFORE = ("accounts:sign_in",)  # for who is not signed in
IN_SESSION = ("view=events&event=2", "pane=tools", "pane=diagnosis")


def things_of(admin: httpx.Client) -> dict[str, Any]:
    """Return the ids of what the addresses name; what the first run left none of is made."""

    def first(path: str, **query: str) -> Any:
        return admin.get(path, params=query).raise_for_status().json()[0]["id"]

    def made(path: str, **body: Any) -> Any:
        return admin.post(path, json=body).raise_for_status().json()["id"]

    def runs(deployment_id: str) -> Any:
        found = admin.get(f"/mcp-deployments/{deployment_id}").json()
        return found["status"] == "running" and found["mcp_server_registration_id"]

    places = {ou["path"]: ou["id"] for ou in admin.get("/ous").json()}
    agent, skill = first("/agents", name="code-reviewer"), first("/skills", name="python-lint")
    echo = {"name": "sounds", "display_name": "Sounds", "template_kind": "echo", "ou_id": places[PLACE]}
    deployment = made("/mcp-deployments", **echo)
    server = until(lambda: runs(deployment), within=60, what="the deployment")
    attached = {"mcp_server_registration_id": server}
    admin.post(f"/agents/{agent}/mcp-servers", json=attached).raise_for_status()
    approver = next(role["id"] for role in admin.get("/roles").json() if role["name"] == "Approver")
    gate = {"name": "secrets", "scope_ou_id": places[ELSEWHERE], "action_pattern": "secret:create"}
    secret = {"kind": "opaque", "value": "kept"}
    return {
        "agent_id": agent,
        "server_id": server,
        "credential_id": first("/credentials", agent_id=agent),
        "session_id": first("/sessions", agent_id=agent),
        "skill_id": skill,
        "version_id": first(f"/skills/{skill}/versions"),
        "policy_id": made("/approval-policies", **gate, approver_role_id=approver),
        "request_id": made("/secrets", name="held", ou_id=places[ELSEWHERE], **secret),
        "secret_id": made("/secrets", name="kept", ou_id=places[PLACE], **secret),
        "webhook_id": made("/webhooks", name="hooks", url="https://hooks.example/powerloom"),
        "ou_id": places[PLACE],
        "user_id": first("/users", email="erin@dev.local"),
        "group_id": made("/groups", name="readers", display_name="Readers", ou_id=places[PLACE]),
        "role_id": made("/roles", name="Reader", actions=["agent:read"]),
        "binding_id": first("/role-bindings"),
        "kind": "files",
        "seq": 1,
    }


def addresses(things: dict[str, Any]) -> list[str]:
    """Return every page, each tab that shows something of its own, an empty list, and a page that is not there."""
    whole = {name: address_of(name, things, place=PLACE) for name in PAGES if name not in BEFORE}
    tabs = [f"{whole[name]}?tab={tab}" for name, names in TABS.items() for tab in names]
    looks = [f"{whole['sessions:detail']}?{look}" for look in IN_SESSION]
    return [*whole.values(), *tabs, *looks, "/agents?q=nobody", "/nothing-here"]


def watch(page: Page) -> None:
    """Have axe on every page that is opened from now on."""
    page.emulate_media(color_scheme="light")
    page.context.add_init_script(script=Axe().axe_script)


def barriers(page: Page, *, whole: bool = False) -> list[str]:
    """Return what axe finds serious on the page that is open, in the light theme and then in the dark one."""
    expect(page.locator(COMING)).to_have_count(0)
    found: list[str] = page.evaluate(LOOK, [SERIOUS, () if whole else SAME])
    return found


def too_wide(page: Page) -> list[int]:
    """Return the widths at which the page is wider than the screen."""
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        if page.evaluate(WIDER):
            found.append(width)
    return found
