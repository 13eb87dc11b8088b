"""House rules about Python: one door for writes, one canonical form, one way out, and reasons for exceptions.

Each exception stands here by name, with its reason; a path covers what lies below it.
"""

import ast
import re
from collections.abc import Iterator

from tests.house.source import Finding, Source, dotted

# --- It can be read


def python_parses(source: Source) -> Iterator[Finding]:
    """The oldest Python that is supported reads every file."""
    if source.path.suffix == ".py":
        try:
            ast.parse(source.text, feature_version=(3, 11))
        except SyntaxError as error:
            yield Finding(error.lineno or 1, f"not Python 3.11: {error.msg}")


# --- One door for intent

EDGES = {"views", "api", "consumers", "admin", "tasks", "console"}
WRITES = {"save", "create", "bulk_create", "get_or_create", "update_or_create"}
MANAGERS = {"objects", "_default_manager", "_base_manager"}
DOOR_EXCEPTIONS = {
    "powerloom/audit/tasks.py": "it forgets counts of denials, which no right governs",
}


def edges_use_the_bus(source: Source) -> Iterator[Finding]:
    """Views, API, consumers, admin and tasks read through queries and write through the bus."""
    if not source.is_product or not EDGES.intersection(part.removesuffix(".py") for part in source.path.parts):
        return
    if is_listed(source, DOOR_EXCEPTIONS):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and node.attr in MANAGERS:
            yield Finding(
                node.lineno, f".{node.attr} at the edge: ask queries.py, which says who asks and what they see"
            )
    for call in source.calls():
        if isinstance(call.func, ast.Attribute) and is_write(call, call.func.attr):
            yield Finding(call.lineno, f".{call.func.attr}() at the edge: submit a command, bus.submit(…, actor=…)")


def is_write(call: ast.Call, method: str) -> bool:
    # router.delete("/path") declares a route; row.delete() deletes.
    return method in WRITES or (method == "delete" and not call.args)


# --- One canonical form

CANONICAL = "powerloom/kernel/canonical.py"


def only_canonical_json_is_hashed(source: Source) -> Iterator[Finding]:
    """What is hashed is RFC 8785, made in one place, so that a hash means the same everywhere."""
    if not source.is_product or source.name == CANONICAL:
        return
    hashes = any(name.split(".")[0] in {"hashlib", "hmac"} for _, name in source.imports())
    for call in source.calls():
        if dotted(call.func) not in {"json.dumps", "dumps"}:
            continue
        if hashes or any(keyword.arg == "sort_keys" for keyword in call.keywords):
            yield Finding(call.lineno, "hash and compare canonical JSON: powerloom.kernel.canonical")


# --- Transactions say what they are


def transactions_say_what_they_are(source: Source) -> Iterator[Finding]:
    """An outermost block is durable, an inner one makes no savepoint: `atomic` alone hides which was meant."""
    if not source.is_product:
        return
    for call in source.calls():
        if is_atomic(call.func) and not any(says_what_it_is(keyword) for keyword in call.keywords):
            yield Finding(call.lineno, "say atomic(durable=True) for the outermost block, savepoint=False inside one")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                if is_atomic(decorator):
                    yield Finding(decorator.lineno, "a decorator too: @transaction.atomic(durable=True)")


def is_atomic(node: ast.expr) -> bool:
    return dotted(node) in {"transaction.atomic", "atomic"}


def says_what_it_is(keyword: ast.keyword) -> bool:
    value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
    return (keyword.arg, value) in {("durable", True), ("savepoint", False)}


# --- One way out

CLIENTS = {"aiohttp", "http.client", "requests", "smtplib", "socket", "urllib.request", "urllib3"} | {
    *("httpx", "httpx2", "httpcore", "httpcore2"),
}
CLIENT_EXCEPTIONS = {
    "powerloom/cma": "the runtime: the SDK's own transport, an address of the operator",
    "approvals/mails.py": "the errors of Django's own mail backend; the mail server is the operator's",
    "powerloom/cli": "a program on the machine of who runs it: the server is theirs to name",
    "powerloom/run": "the processes of this machine, on loopback",
    "powerloom/kernel/tls.py": "it calls nobody: it makes the context that every client trusts by",
    "powerloom/web/egress.py": "the one client for the addresses that users give",
    "agents/backends/postgres/lines.py": "the socket that libpq has opened, to count and to cut; it opens none",
    "agents/backends/powerloom_meta/api.py": "our own REST API, an address of the operator",
    "agents/backends/slack_api.py": "the Slack Web API, an address of the operator",
}


def one_way_out(source: Source) -> Iterator[Finding]:
    """Whatever leaves this machine at an address a user gave goes through one client that checks the address."""
    if not source.is_product or is_listed(source, CLIENT_EXCEPTIONS):
        return
    for line, name in source.imports():
        if any(name == client or name.startswith(f"{client}.") for client in CLIENTS):
            yield Finding(line, f"{name}: outbound calls are made by the modules named in tests/house/code.py only")


# --- Exceptions have reasons

PRAGMA = re.compile(
    r"#\s*(?:noqa:\s*(?P<codes>[A-Z]+\d+(?:[,\s]+[A-Z]+\d+)*)|type:\s*ignore\[(?P<types>[\w,\s-]+)\])(?P<rest>.*)"
)


def exceptions_have_reasons(source: Source) -> Iterator[Finding]:
    """Whoever switches a check off says why, there or in the line above; in one file, once for each check."""
    if source.path.suffix != ".py":
        return
    explained: set[str] = set()
    for number, line in enumerate(source.lines, start=1):
        if not (match := PRAGMA.search(line)):
            continue
        codes = set(re.split(r"[,\s]+", (match["codes"] or match["types"]).strip()))
        above = source.lines[number - 2].strip() if number > 1 else ""
        if re.search(r"\w{2,}", match["rest"]) or above.startswith("#"):
            explained |= codes
        elif not codes <= explained:
            mark = "  # " if match["types"] else " - "
            yield Finding(number, f"say why: {match[0].strip()}{mark}the reason")


# --- Tests do not sleep

SLEEPS = {"time.sleep", "asyncio.sleep", "sleep"}
SLEEP_EXCEPTIONS = {
    "tests/waiting.py": "the one loop that looks again",
    "tests/bench": "it paces what it measures",
}


def tests_do_not_sleep(source: Source) -> Iterator[Finding]:
    """A length of time is too short on a busy machine and too long on every other."""
    if source.path.suffix != ".py" or source.path.parts[0] != "tests" or is_listed(source, SLEEP_EXCEPTIONS):
        return
    for call in source.calls():
        yields = call.args and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0
        if dotted(call.func) in SLEEPS and not yields:
            yield Finding(call.lineno, "wait for a condition: until() or eventually() of tests/waiting.py")


def is_listed(source: Source, exceptions: dict[str, str]) -> bool:
    return any(source.path.is_relative_to(path) for path in exceptions)
