"""The main job in a browser: sign in, find the agent, invoke it, watch it live, reload, go on. One served product for
the file.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, WebSocketRoute, expect

from tests.product import ROOT, Product, environment_for, product

SERIOUS = {"serious", "critical"}
PROMPT = "Review the migration in PR #42 for safety issues."
COLORS = {"runOnly": ["color-contrast"]}  # the themes differ in nothing else
EVENTS = "els => els.map(el => el.id + ' ' + el.textContent.replace(/\\s+/g, ' '))"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The product after its first run: a live agent and one session."""
    with product(tmp_path_factory.mktemp("console") / "home") as up:
        up.wait_told("Serving on")
        yield up
        up.stop()


@pytest.fixture
def admin(page: Page, served: Product) -> Page:
    """A page that is signed in, and on which nothing may go wrong unseen nor reach another host."""
    wrong: list[str] = []
    own = urlsplit(served.url).netloc
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: wrong.append(request.url) if urlsplit(request.url).netloc != own else None)
    sign_in(page, served)
    return page


def sign_in(page: Page, served: Product, email: str = "admin@dev.local") -> None:
    page.goto(f"{served.url}/")
    page.get_by_role("button", name=email).click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.wait_for_load_state()  # the page's own script is there


def open_agent(page: Page, served: Product) -> None:
    page.goto(f"{served.url}/agents")
    page.get_by_role("link", name="code-reviewer").click()
    expect(page.get_by_role("heading", name="Code Reviewer")).to_be_visible()
    page.wait_for_load_state()


def invoke(page: Page, served: Product, prompt: str = PROMPT) -> None:
    open_agent(page, served)
    page.get_by_role("button", name="Invoke").click()
    page.get_by_label("Prompt").fill(prompt)
    page.get_by_role("dialog").get_by_role("button", name="Invoke").click()
    page.wait_for_url(re.compile(r"/sessions/[0-9a-f-]{36}$"))


def open_first_session(page: Page, served: Product) -> None:
    """Open the session of the first run, which is at rest."""
    page.goto(f"{served.url}/sessions")
    page.get_by_role("link", name="PR #42 review").last.click()
    wait_idle(page)


def wait_idle(page: Page) -> None:
    expect(page.locator("#session-state")).to_contain_text("Idle")
    expect(page.locator(".event").last).to_contain_text("At rest")


def drawn(page: Page) -> list[str]:
    found: list[str] = page.locator(".event").evaluate_all(EVENTS)
    return found


def test_a_session_is_invoked_followed_live_and_replayed(admin: Page, served: Product) -> None:
    invoke(admin, served, f"[ask] {PROMPT}")
    expect(admin.locator("#live")).to_have_text("Live")
    allow = admin.get_by_role("button", name="Allow")
    expect(allow).to_be_visible()
    early = len(drawn(admin))
    allow.click()
    wait_idle(admin)
    live = drawn(admin)
    assert len(live) > early, "what came after the answer was drawn by the page that was open"
    assert len({line.split()[0] for line in live}) == len(live)
    admin.reload()
    assert drawn(admin) == live


def test_a_dialog_that_is_asked_for_before_it_has_come_opens_when_it_comes(admin: Page, served: Product) -> None:
    held: list[Route] = []
    admin.route(re.compile("/invoke$"), lambda route: held.append(route))  # noqa: PLW0108  Playwright marks handlers
    with admin.expect_request(re.compile("/invoke$")):
        open_agent(admin, served)
    admin.get_by_role("button", name="Invoke").click()
    expect(admin.get_by_role("dialog")).to_have_count(0)
    held[0].continue_()
    expect(admin.get_by_label("Prompt")).to_be_visible()


def test_two_viewers_see_the_same(admin: Page, served: Product) -> None:
    invoke(admin, served)
    with admin.context.new_page() as other:
        other.goto(admin.url)
        wait_idle(other)
        wait_idle(admin)
        assert drawn(other) == drawn(admin)


def test_a_cut_socket_heals_without_gap_or_double(admin: Page, served: Product) -> None:
    sockets: list[WebSocketRoute] = []

    def cut_the_first(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        server = socket.connect_to_server()
        if len(sockets) == 1:
            server.on_message(lambda _: socket.close(code=3000))

    admin.route_web_socket(re.compile("/ws/console/"), cut_the_first)
    invoke(admin, served)
    wait_idle(admin)
    expect(admin.locator("#live")).to_have_text("Live")
    healed = drawn(admin)
    assert len(sockets) > 1
    admin.reload()
    assert drawn(admin) == healed


def test_a_conversation_goes_on_in_the_same_page(admin: Page, served: Product) -> None:
    open_first_session(admin, served)
    turns = admin.locator(".turn").count()
    admin.get_by_label("Message").fill("And what about locks?")
    admin.get_by_role("button", name="Send").click()
    expect(admin.get_by_role("heading", name=f"Turn {turns}")).to_be_visible()
    expect(admin.get_by_label("Message")).to_have_value("")
    wait_idle(admin)


def test_an_event_opens_in_the_inspector_and_in_the_address(admin: Page, served: Product) -> None:
    open_first_session(admin, served)
    number = admin.locator(".event[data-kind=person] .seq").first
    seq = number.inner_text()
    number.click()
    expect(admin.locator("#inspector")).to_contain_text("user.message")
    expect(admin).to_have_url(re.compile(rf"\?event={seq}$"))
    admin.reload()
    expect(admin.locator("#inspector")).to_contain_text("user.message")


def test_hostile_words_stay_words_while_they_stream(admin: Page, served: Product) -> None:
    words = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
    invoke(admin, served, words)
    wait_idle(admin)
    expect(admin.locator(".said").first).to_have_text(words)
    assert admin.locator(".transcript img, .transcript script").count() == 0
    assert admin.title() not in {"1", "2"}


def test_closing_and_deleting_ask_and_then_happen(admin: Page, served: Product) -> None:
    invoke(admin, served)
    wait_idle(admin)
    admin.get_by_role("button", name="Close", exact=True).first.click()
    admin.get_by_role("button", name="Close the session").click()
    expect(admin.locator("#session-state")).to_contain_text("Terminated")
    admin.get_by_role("button", name="Delete", exact=True).click()
    expect(admin.get_by_role("dialog")).to_contain_text("for ever")
    admin.get_by_label("Type delete to confirm").fill("delete")
    admin.get_by_role("button", name="Delete for ever").click()
    admin.wait_for_url(f"{served.url}/sessions")
    expect(admin.locator("#toasts")).to_contain_text("Deleted")


def test_the_keyboard_finds_filter_keys_and_rooms(admin: Page, served: Product) -> None:
    admin.goto(f"{served.url}/agents")
    admin.keyboard.press("/")
    expect(admin.get_by_label("Name")).to_be_focused()
    admin.keyboard.type("g?")
    expect(admin.get_by_label("Name")).to_have_value("g?")
    admin.get_by_role("heading", name="Agents").click()
    admin.keyboard.press("?")
    expect(admin.get_by_role("dialog", name="Keys")).to_be_visible()
    admin.keyboard.press("Escape")
    admin.keyboard.press("g")
    admin.keyboard.press("s")
    expect(admin.get_by_role("heading", name="Sessions")).to_be_visible()


def test_the_scope_is_chosen_from_the_tree(admin: Page, served: Product) -> None:
    admin.goto(f"{served.url}/agents")
    admin.get_by_role("button", name="Scope").click()
    admin.get_by_role("link", name="/dev-org/sales").click()
    expect(admin.get_by_text("No agent matches these filters.")).to_be_visible()
    admin.go_back()
    expect(admin.get_by_role("link", name="code-reviewer")).to_be_visible()


def test_the_theme_is_kept_and_is_there_before_any_script(admin: Page, served: Product) -> None:
    switch = admin.get_by_role("button", name="Theme")
    switch.click()
    switch.click()
    expect(admin.locator("html")).to_have_attribute("data-theme", "dark")
    answer = admin.reload()
    assert answer is not None
    assert 'data-theme="dark"' in answer.text().split("<head>")[0]


def test_a_page_of_a_stopped_list_grows_fresh_by_itself(admin: Page, served: Product) -> None:
    admin.goto(f"{served.url}/sessions")
    rows = admin.locator("tr[data-row]").count()
    with admin.context.new_page() as other:
        invoke(other, served)
    expect(admin.get_by_role("button", name="1 new")).to_be_visible()
    assert admin.locator("tr[data-row]").count() == rows, "a new row pushed what one reads"


PAGES = ["/", "/agents", "/sessions", "/audit", "/audit/1", "/audit/chain", "/agents?q=nobody", "/nothing-here"]
PAGES += [f"/organization{page}" for page in ("", "/users", "/groups", "/roles", "/roles/new", "/bindings", "/explain")]
PAGES += [f"/settings{page}" for page in ("", "/tokens", "/tokens/new", "/webhooks", "/keys")]
OF_AGENT = ["", "?tab=prompt", "?tab=skills", "?tab=versions", "?tab=sessions", "?tab=sync", "?tab=audit"]


def addresses(page: Page, served: Product) -> list[str]:
    """Return every page of the console, with one agent's and one session's."""
    page.goto(f"{served.url}/agents")
    agent = page.get_by_role("link", name="code-reviewer").get_attribute("href")
    page.goto(f"{served.url}/sessions")
    session = page.locator("tr[data-row] a").first.get_attribute("href")
    return [*PAGES, *[f"{agent}{tab}" for tab in OF_AGENT], f"{session}", f"{session}?view=events&event=2"]


def test_what_one_may_not_do_says_why_when_it_is_pressed(page: Page, served: Product) -> None:
    sign_in(page, served, "audrey@dev.local")
    open_agent(page, served)
    page.get_by_role("button", name="Invoke").click(force=True)  # as a finger does
    why = page.locator(".explain:popover-open")
    expect(why).to_contain_text("You need agent:invoke on /dev-org/engineering")
    why.get_by_role("link", name="Request it").click()
    expect(page.get_by_role("button", name="Request access")).to_be_visible()


def test_anything_is_found_and_opened_by_keyboard(admin: Page, served: Product) -> None:
    admin.goto(f"{served.url}/settings")
    admin.keyboard.press("Control+k")
    admin.keyboard.type("code-rev")
    expect(admin.locator("#found")).to_contain_text("Invoke Code Reviewer")
    admin.keyboard.press("ArrowDown")
    admin.keyboard.press("ArrowDown")
    admin.keyboard.press("Enter")
    expect(admin.get_by_role("dialog").get_by_label("Prompt")).to_be_visible()


def test_an_operator_reads_tables_within_the_same_policy(admin: Page, served: Product) -> None:
    command = [sys.executable, "manage.py", "set_operator", "admin@dev.local"]
    subprocess.run(command, cwd=ROOT, env=environment_for(served.home), check=True, capture_output=True)
    admin.goto(f"{served.url}/")
    admin.get_by_role("link", name="Platform admin").click()
    admin.get_by_role("link", name="Sessions", exact=True).click()
    expect(admin.get_by_text("code-reviewer").first).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_shuts_anybody_out(page: Page, served: Product, theme: str) -> None:
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce")
    page.goto(f"{served.url}/sign-in")
    found = {"/sign-in": barriers(page, {})}
    sign_in(page, served)
    for address in addresses(page, served):
        page.goto(f"{served.url}{address}")
        expect(page.locator("[hx-trigger=load]")).to_have_count(0)  # what other rooms send has come
        found[address] = barriers(page, {} if theme == "light" else COLORS)
    assert {address: barrier for address, barrier in found.items() if barrier} == {}


def barriers(page: Page, options: dict[str, Any]) -> list[str]:
    violations = Axe().run(page, options=options).response["violations"]
    return [
        f"{violation['id']}: {node['html'][:200]}"
        for violation in violations
        if violation["impact"] in SERIOUS
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("width", [360, 768, 1600])
def test_no_page_is_wider_than_the_screen(page: Page, served: Product, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    sign_in(page, served)
    wide = []
    for address in addresses(page, served):
        page.goto(f"{served.url}{address}")
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(address)
    assert wide == []


def test_on_a_phone_the_rooms_are_in_a_drawer(page: Page, served: Product) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    sign_in(page, served)
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Audit").click()
    expect(page.get_by_role("heading", name="Audit")).to_be_visible()


def test_a_served_page_asks_nobody_else(chromium: Browser, served: Product) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        asked: set[str] = set()
        page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
        sign_in(page, served)
        for address in PAGES:
            page.goto(f"{served.url}{address}")
    assert asked == {urlsplit(served.url).netloc}
