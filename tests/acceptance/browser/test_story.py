"""The main job in a browser: sign in, find the agent, invoke it, watch it live, reload, go on. One served product for
the file.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import ConsoleMessage, Page, Route, ViewportSize, WebSocketRoute, expect

from powerloom.cma.local.app import BETA
from powerloom.kernel.tls import trust
from tests.local_runtime import LocalRuntime, local_runtime
from tests.product import Product, environment_for, product
from tests.programs import run
from tests.walk import addresses, barriers, things_of, too_wide, watch

PROMPT = "Review the migration in PR #42 for safety issues."
PHONE: ViewportSize = {"width": 360, "height": 740}
EVENTS = "els => els.map(el => el.id + ' ' + el.textContent.replace(/\\s+/g, ' '))"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    """The runtime of the served product, where another hand may change things."""
    with local_runtime(tmp_path_factory.mktemp("runtime")) as started:
        yield started


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, runtime: LocalRuntime) -> Iterator[Product]:
    """The product after its first run: a live agent and one session."""
    home = tmp_path_factory.mktemp("console") / "home"
    with product(home, POWERLOOM_CMA_URL=runtime.url, ANTHROPIC_API_KEY=runtime.key) as up:
        up.wait_told("Serving on", within=300)
        yield up
        up.stop()


@pytest.fixture
def admin(page: Page, served: Product) -> Iterator[Page]:
    """A page that is signed in, and on which nothing may go wrong unseen nor reach another host."""
    wrong = watch_for_others(page, served)
    sign_in(page, served)
    yield page
    assert wrong == []


def watch_for_others(page: Page, served: Product) -> list[str]:
    """Return the list that grows by every error on the console of the page, and by every request to another host."""
    wrong: list[str] = []
    own = urlsplit(served.url).netloc
    page.on("console", lambda message: wrong.append(message.text) if is_wrong(message) else None)
    page.on("request", lambda request: wrong.append(request.url) if urlsplit(request.url).netloc != own else None)
    return wrong


def is_wrong(message: ConsoleMessage) -> bool:
    """Tell an error; that a request under way ended when its page was left is none."""
    return message.type == "error" and not message.text.startswith(("htmx:afterRequest", "htmx:sendAbort"))


def sign_in(page: Page, served: Product, email: str = "admin@dev.local") -> None:
    page.goto(f"{served.url}/")
    page.get_by_role("button", name=email).click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.wait_for_load_state()  # the page's own script is there


def open_agent(page: Page, served: Product) -> None:
    page.goto(f"{served.url}/agents")
    page.get_by_role("link", name="code-reviewer", exact=True).click()
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


def test_an_agent_is_declared_in_the_form_goes_live_is_invoked_and_stands_in_the_trail(
    admin: Page, served: Product
) -> None:
    admin.goto(f"{served.url}/agents/new")
    admin.get_by_label("OU", exact=True).select_option(label="/dev-org/engineering")
    admin.get_by_label("Name", exact=True).fill("notes-writer")
    admin.get_by_label("Display name").fill("Notes Writer")
    admin.get_by_label("Model").fill("claude-sonnet-4-6")
    admin.get_by_label("System prompt").fill("Write release notes.")
    expect(admin.locator("#manifest-text")).to_contain_text("notes-writer")
    admin.get_by_role("button", name="Declare the agent").click()
    expect(admin.get_by_role("heading", name="Notes Writer")).to_be_visible()
    expect(admin.locator(".page-head")).to_contain_text("Synced")  # pushed meanwhile, and told to the open page
    admin.get_by_role("button", name="Invoke").click()
    admin.get_by_label("Prompt").fill(PROMPT)
    admin.get_by_role("dialog").get_by_role("button", name="Invoke").click()
    wait_idle(admin)
    expect(admin.locator(".transcript")).to_contain_text("I am Notes Writer")
    admin.goto(f"{served.url}/audit")
    admin.get_by_label("Action").fill("agent:create")
    admin.get_by_role("button", name="Filter").click()
    row = admin.get_by_role("row").filter(has_text="notes-writer")
    expect(row).to_contain_text("admin@dev.local")
    row.get_by_role("link").click()
    expect(admin.locator("main")).to_contain_text("Write release notes.")


def test_a_chat_streams_the_answer_and_shows_each_call(admin: Page, served: Product) -> None:
    admin.goto(f"{served.url}/chat")
    admin.get_by_label("Talk with").select_option(label="Code Reviewer in /dev-org/engineering")
    admin.get_by_label("Message").fill("Which files are there?")
    admin.keyboard.press("Enter")
    admin.wait_for_url(re.compile(r"/chat/[0-9a-f-]{36}$"))
    call = admin.locator("details.call").first
    expect(call).to_contain_text("Answered")
    call.locator("summary").first.click()
    expect(call).to_contain_text("Arguments")
    expect(admin.locator(".event[data-kind=agent] .said").last).to_be_visible()
    expect(admin.get_by_text("Working")).to_have_count(0)


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

    admin.route_web_socket(re.compile("/ws/console/sessions/"), cut_the_first)
    invoke(admin, served)
    wait_idle(admin)
    expect(admin.locator("#live")).to_have_text("Live")
    healed = drawn(admin)
    assert len(sockets) > 1
    admin.reload()
    assert drawn(admin) == healed


def test_a_list_hears_of_changes_shows_a_lost_connection_and_heals(admin: Page, served: Product) -> None:
    sockets: list[WebSocketRoute] = []

    def keep(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        if len(sockets) != 2:  # the second stays mute: the page has to try again
            socket.connect_to_server()

    admin.route_web_socket(re.compile(r"/ws/console/\?changes"), keep)
    admin.goto(f"{served.url}/agents")
    expect(admin.locator("#live")).to_have_text("Live")
    with served.client("admin@dev.local") as api:
        agent = api.get("/agents", params={"name": "code-reviewer"}).json()[0]["id"]
        api.patch(f"/agents/{agent}", json={"model": "claude-opus-4-6"}).raise_for_status()
        row = admin.locator("tr[data-row]").filter(has_text="code-reviewer")
        expect(row).to_contain_text("claude-opus-4-6", timeout=20_000)  # its slow look comes later
        sockets[0].close(code=3000)
        expect(admin.locator("#live")).to_have_text("Reconnecting")
        api.patch(f"/agents/{agent}", json={"model": "claude-sonnet-4-6"}).raise_for_status()
        sockets[-1].close(code=3000)
        expect(admin.locator("#live")).to_have_text("Live")
        expect(row).to_contain_text("claude-sonnet-4-6")


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


def test_the_minimap_is_looked_at_closely(admin: Page, served: Product) -> None:
    open_first_session(admin, served)
    lane = admin.locator("svg.lane").first
    expect(lane).to_have_attribute("viewBox", "-2 0 1004 20")
    admin.keyboard.press("+")
    expect(lane).to_have_attribute("viewBox", "249 0 502 20")
    admin.get_by_role("button", name="Zoom out").click()
    expect(lane).to_have_attribute("viewBox", "-2 0 1004 20")


def test_hostile_words_stay_words_while_they_stream(admin: Page, served: Product) -> None:
    words = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
    invoke(admin, served, words)
    wait_idle(admin)
    expect(admin.locator(".said").first).to_have_text(words)
    assert admin.locator(".transcript img, .transcript script").count() == 0
    assert admin.title() not in {"1", "2"}


def test_closing_and_deleting_ask_and_then_happen(page: Page, served: Product) -> None:
    sign_in(page, served)  # unwatched: what asks after the session while it goes may find it gone
    invoke(page, served)
    wait_idle(page)
    page.get_by_role("button", name="Close", exact=True).first.click()
    page.get_by_role("button", name="Close the session").click()
    expect(page.locator("#session-state")).to_contain_text("Terminated")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("for ever")
    page.get_by_label("Type delete to confirm").fill("delete")
    page.get_by_role("button", name="Delete for ever").click()
    page.wait_for_url(f"{served.url}/sessions")
    expect(page.locator("#toasts")).to_contain_text("Deleted")


def test_the_keyboard_finds_filter_keys_and_rooms(admin: Page, served: Product) -> None:
    admin.goto(f"{served.url}/agents")
    admin.keyboard.press("/")
    expect(admin.locator("[data-filter]")).to_be_focused()
    admin.keyboard.type("g?")
    expect(admin.locator("[data-filter]")).to_have_value("g?")
    admin.get_by_role("heading", name="Agents", exact=True).click()
    admin.keyboard.press("?")
    expect(admin.get_by_role("dialog", name="Keys")).to_be_visible()
    admin.keyboard.press("Escape")
    admin.keyboard.press("g")
    admin.keyboard.press("s")
    expect(admin.get_by_role("heading", name="Sessions", exact=True)).to_be_visible()


def test_the_scope_is_chosen_from_the_tree(admin: Page, served: Product) -> None:
    admin.goto(f"{served.url}/agents")
    admin.get_by_role("button", name="Scope").click()
    admin.get_by_role("link", name="/dev-org/sales").click()
    expect(admin.get_by_text("No agent matches these filters.")).to_be_visible()
    admin.go_back()
    expect(admin.get_by_role("link", name="code-reviewer", exact=True)).to_be_visible()


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


def ou_id_of(api: httpx.Client, path: str) -> str:
    """Return the id of an OU."""
    tree, found = list(api.get("/ous/tree").json()), {}
    while tree:
        node = tree.pop()
        found[node["path"]] = node["id"]
        tree += node["children"]
    return str(found[path])


def test_a_held_change_appears_is_approved_by_keyboard_on_a_phone_and_applies(page: Page, served: Product) -> None:
    with served.client("admin@dev.local") as admin, served.client("erin@dev.local") as erin:
        approve_one_and_reject_another(page, served, admin, erin)


def approve_one_and_reject_another(page: Page, served: Product, admin: httpx.Client, erin: httpx.Client) -> None:
    ou_id = ou_id_of(admin, "/dev-org/engineering")
    approver = next(role["id"] for role in admin.get("/roles").json() if role["name"] == "Approver")
    gate = {"name": "new-agents", "scope_ou_id": ou_id, "action_pattern": "agent:create", "approver_role_id": approver}
    policy = admin.post("/approval-policies", json=gate).raise_for_status().json()
    ask = {"ou_id": ou_id, "model": "claude-sonnet-4-6", "system_prompt": "Write notes.", "agent_kind": "user"}
    page.set_viewport_size(PHONE)
    wrong = watch_for_others(page, served)
    sign_in(page, served, "vera@dev.local")
    page.goto(f"{served.url}/approvals")
    expect(page.get_by_text("Nothing waits for you.")).to_be_visible()
    for name in ("first-notes", "second-notes"):
        assert erin.post("/agents", json={**ask, "name": name, "display_name": name}).status_code == 202
        if name == "first-notes":
            expect(page.locator("[data-card]")).to_have_count(1)
    expect(page.get_by_role("button", name="1 new")).to_be_visible()
    expect(page.locator("[data-card]")).to_have_count(1)
    expect(page.locator("[data-card]")).to_contain_text("Write notes.")
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    page.keyboard.press("j")
    page.keyboard.press("a")
    page.keyboard.type("Fine.")
    page.keyboard.press("Enter")
    expect(page.locator("article.gone")).to_contain_text("Approved")
    page.get_by_role("button", name="1 new").click()
    expect(page.locator("[data-card]")).to_contain_text("second-notes")
    expect(page.locator("article.gone")).to_have_count(0)
    page.wait_for_load_state()
    page.keyboard.press("x")
    page.keyboard.press("r")
    page.keyboard.press("Enter")
    expect(page.locator("article.gone")).to_contain_text("Rejected")
    page.goto(f"{served.url}/approvals?tab=recent")
    expect(page.locator("tbody")).to_contain_text("Applied")
    agents = {agent["name"] for agent in admin.get("/agents").json()}
    assert "first-notes" in agents
    assert "second-notes" not in agents
    assert wrong == []
    admin.post(
        f"/approval-policies/{policy['id']}/switch-off", json={"reason": "The story is told."}
    ).raise_for_status()


def test_drift_appears_with_its_diff_and_what_is_parked_is_reset(
    admin: Page, served: Product, runtime: LocalRuntime
) -> None:
    open_agent(admin, served)
    expect(admin.locator(".page-head")).to_contain_text("Synced")
    admin.goto(f"{admin.url}?tab=sync")
    remote_id = admin.get_by_text(re.compile("^agent_")).inner_text().split()[0]
    headers = {"x-api-key": runtime.key, "anthropic-version": "2023-06-01", "anthropic-beta": BETA}
    with httpx.Client(base_url=f"{runtime.url}/v1", headers=headers, trust_env=False, verify=trust()) as cma:
        theirs = cma.get(f"/agents/{remote_id}").raise_for_status().json()
        change = {"version": theirs["version"], "system": "Say yes to everything."}
        cma.post(f"/agents/{remote_id}", json=change).raise_for_status()
    runtime.faults.add("POST /v1/agents/{id}", status=400, times=10, message="another hand holds this agent")
    sweep_now(served)
    expect(admin.locator(".page-head")).to_contain_text("Parked")
    expect(admin.locator("main")).to_contain_text("Say yes to everything.")
    expect(admin.locator("main")).to_contain_text("another hand holds this agent")
    runtime.faults.clear()
    admin.get_by_role("button", name="Reset").click()
    expect(admin.locator(".page-head")).to_contain_text("Synced")
    with httpx.Client(base_url=f"{runtime.url}/v1", headers=headers, trust_env=False, verify=trust()) as cma:
        assert cma.get(f"/agents/{remote_id}").json()["system"].startswith("Review Python code")


def sweep_now(served: Product) -> None:
    """Let the next look through the runtime be due at once."""
    with closing(sqlite3.connect(served.home / "powerloom.sqlite3", timeout=30)) as database, database:
        database.execute("UPDATE reconcile_sweeppass SET due_at = '2026-01-01 00:00:00'")


def test_what_one_may_not_do_says_why_when_it_is_pressed(page: Page, served: Product) -> None:
    sign_in(page, served, "audrey@dev.local")
    open_agent(page, served)
    page.get_by_role("button", name="Invoke").click(force=True)  # as a finger does
    why = page.locator(".explain:popover-open")
    expect(why).to_contain_text("You need agent:invoke on /dev-org/engineering")
    why.get_by_role("link", name="Request it").click()
    expect(page.get_by_role("button", name="Request access")).to_be_visible()


def test_what_one_may_not_see_is_not_there(page: Page, served: Product) -> None:
    with served.client("admin@dev.local") as admin:
        agent = admin.get("/agents", params={"name": "code-reviewer"}).json()[0]["id"]
    sign_in(page, served, "emma@dev.local")
    answer = page.goto(f"{served.url}/agents/{agent}")
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()
    expect(page.locator("main")).not_to_contain_text("Code Reviewer")


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
    done = run("manage.py", "set_operator", "admin@dev.local", env=environment_for(served.home))
    assert done.returncode == 0, done.stdout + done.stderr
    admin.goto(f"{served.url}/")
    admin.get_by_role("link", name="Platform admin").click()
    admin.get_by_role("link", name="Sessions", exact=True).click()
    expect(admin.get_by_text("code-reviewer").first).to_be_visible()


def test_every_page_lets_everybody_in_in_both_themes_at_any_width_and_asks_nobody_else(
    page: Page, served: Product
) -> None:
    watch(page)
    wrong = watch_for_others(page, served)
    page.goto(f"{served.url}/sign-in")
    found = {"/sign-in": barriers(page, whole=True) or too_wide(page)}
    sign_in(page, served)
    found["/"] = barriers(page, whole=True) or too_wide(page)
    with served.client("admin@dev.local") as admin:
        things = things_of(admin)
    for address in addresses(things):
        page.goto(f"{served.url}{address}")
        found[address] = barriers(page) or too_wide(page)
    with served.client("admin@dev.local") as admin:  # the reviewer's story begins with an empty inbox
        admin.post(f"/approvals/{things['request_id']}/cancel", json={}).raise_for_status()
    assert {address: what for address, what in found.items() if what} == {}
    assert [words for words in wrong if "404 (Not Found)" not in words] == [], "but for the page that is not there"


def test_on_a_phone_the_rooms_are_in_a_drawer(page: Page, served: Product) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    sign_in(page, served)
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("navigation", name="Rooms").get_by_role("link", name="Audit").click()
    expect(page.get_by_role("heading", name="Audit")).to_be_visible()
