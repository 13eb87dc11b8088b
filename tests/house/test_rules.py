"""Each house rule refuses its bad lines and lets its good ones pass."""

import pytest

from tests.house.files import SHARED, WORK
from tests.house.rules import RULES, check
from tests.house.source import Source

VIEW = "agents/views.py"
MODEL = "agents/models.py"
PAGE = "templates/agents/list.html"
TEST = "tests/unit/test_law.py"
# Apart from their codes, so that this file does not switch anything off itself.
PRAGMA = "# noqa"
IGNORE = "# type: ignore"

BAD = {
    "python_parses": [
        (MODEL, "def ="),
        (MODEL, "type Name = str"),
    ],
    "edges_use_the_bus": [
        (VIEW, "agents = Agent.objects.all()"),
        ("sessions/consumers.py", "session.save(update_fields=['status'])"),
        ("agents/api/skills.py", "skill.delete()"),
        ("accounts/admin.py", "rows = User._default_manager.all()"),
        ("powerloom/console/home.py", "Agent.objects.create(name='a')"),
    ],
    "only_canonical_json_is_hashed": [
        (MODEL, "import json\nbody = json.dumps(value, sort_keys=True)"),
        (MODEL, "import hashlib\nimport json\nhashlib.sha256(json.dumps(value).encode())"),
        (MODEL, "import hmac\nfrom json import dumps\ndumps(value)"),
    ],
    "transactions_say_what_they_are": [
        (MODEL, "with transaction.atomic():\n    pass"),
        (MODEL, "@transaction.atomic\ndef change():\n    pass"),
        (MODEL, "with transaction.atomic(durable=False):\n    pass"),
    ],
    "one_way_out": [
        ("agents/webhooks.py", "import httpx"),
        ("agents/webhooks.py", "from urllib.request import urlopen"),
        ("accounts/mail.py", "def later():\n    import requests"),
    ],
    "exceptions_have_reasons": [
        (MODEL, f"import os  {PRAGMA}: F401"),
        (TEST, f"x = y  {IGNORE}[assignment]"),
    ],
    "tests_do_not_sleep": [
        (TEST, "time.sleep(1)"),
        (TEST, "async def test():\n    await asyncio.sleep(0.1)"),
    ],
    "pages_keep_the_policy": [
        (PAGE, '<p style="color: red">'),
        (PAGE, "<style>p {}</style>"),
        (PAGE, "<script>alert(1)</script>"),
        (PAGE, '<button onclick="go()">'),
        (PAGE, "<div hx-on:click='go()'>"),
        (PAGE, "<a href='javascript:go()'>"),
        (PAGE, "{{ name|safe }}"),
        (PAGE, "{% autoescape off %}"),
        (PAGE, "<script src='https://cdn.example/htmx.js'></script>"),
        (PAGE, "<link rel='stylesheet' href='//cdn.example/a.css'>"),
        (PAGE, "<img src='http://example.com/a.png'>"),
    ],
    "top_level_is_planned": [
        ("scripts/release.py", ""),
        ("docker-compose.yml", ""),
    ],
    "files_are_nouns": [
        ("agents/utils.py", ""),
        ("sessions/services.py", ""),
    ],
    "files_are_short": [
        (MODEL, "x = 1\n" * 501),
        ("static/css/page.css", "a {}\n" * 501),
    ],
    "nothing_is_left_for_later": [
        (MODEL, f"# {'todo'.upper()}: later"),
        (PAGE, f"{{# {'fixme'.upper()} #}}"),
    ],
    "nothing_points_elsewhere": [
        ("README.md", f"see {SHARED}/design.md"),
        ("Makefile", f"cd {WORK}/main"),
    ],
}

GOOD = {
    "python_parses": [
        (MODEL, "match value:\n    case 1: pass"),
    ],
    "edges_use_the_bus": [
        (VIEW, "agents = agents_visible_to(request.actor)"),
        (VIEW, "router.delete('/agents/{id}')"),
        ("agents/queries.py", "Agent.objects.all()"),
        ("agents/migrations/0001_initial.py", "Agent.objects.create()"),
        ("tests/integration/test_views.py", "Agent.objects.all()"),
    ],
    "only_canonical_json_is_hashed": [
        ("powerloom/kernel/canonical.py", "import hashlib\nimport json\njson.dumps(value, sort_keys=True)"),
        (MODEL, "import json\njson.dumps(value)"),
    ],
    "transactions_say_what_they_are": [
        (MODEL, "with transaction.atomic(durable=True):\n    pass"),
        (MODEL, "with transaction.atomic(savepoint=False):\n    pass"),
        (TEST, "with transaction.atomic():\n    pass"),
    ],
    "one_way_out": [
        ("powerloom/cma/client.py", "import httpx2"),
        (MODEL, "from urllib.parse import urlsplit"),
        (TEST, "import httpx"),
    ],
    "exceptions_have_reasons": [
        (MODEL, f"import os  {PRAGMA}: F401 - registers the handlers"),
        (MODEL, f"# It registers the handlers.\nimport os  {PRAGMA}: F401"),
        (MODEL, f"import os  {PRAGMA}: F401 - registers the handlers\nimport sys  {PRAGMA}: F401"),
    ],
    "tests_do_not_sleep": [
        (TEST, "await asyncio.sleep(0)"),
        ("powerloom/reconcile/engine.py", "time.sleep(1)"),
        ("tests/waiting.py", "time.sleep(PAUSE)"),
    ],
    "pages_keep_the_policy": [
        (PAGE, "<p class='note {% if x %}loud{% endif %}' hx-get='/agents' data-once>{{ name }}</p>"),
        (PAGE, "<script src=\"{% static 'js/page.js' %}\" defer></script>"),
        (PAGE, "<a href='https://example.com/docs'>read</a>"),
        (PAGE, '<svg xmlns="http://www.w3.org/2000/svg"></svg>'),
        ("static/vendor/sample.html", "<script>1</script>"),
    ],
    "top_level_is_planned": [
        ("Makefile", ""),
        (".ci/run", ""),
        ("powerloom/urls.py", ""),
    ],
    "files_are_nouns": [
        ("manage.py", ""),
        ("agents/skills.py", ""),
    ],
    "files_are_short": [
        (MODEL, "x = 1\n" * 500),
        ("static/vendor/htmx.js", "1;\n" * 900),
        ("requirements.lock", "a\n" * 900),
    ],
    "nothing_is_left_for_later": [
        (MODEL, "todo = 'a list of what to do'"),
    ],
    "nothing_points_elsewhere": [
        ("README.md", "the work is done"),
    ],
}


def findings(rule: str, name: str, text: str) -> list[str]:
    return [finding.advice for found, finding in check(Source(name, text)) if found.__name__ == rule]


@pytest.mark.parametrize(("rule", "name", "text"), [(rule, *case) for rule, cases in BAD.items() for case in cases])
def test_it_refuses(rule: str, name: str, text: str) -> None:
    assert findings(rule, name, text)


@pytest.mark.parametrize(("rule", "name", "text"), [(rule, *case) for rule, cases in GOOD.items() for case in cases])
def test_it_lets_pass(rule: str, name: str, text: str) -> None:
    assert findings(rule, name, text) == []


def test_every_rule_has_good_and_bad_lines() -> None:
    names = {rule.__name__ for rule in RULES}
    assert names == set(BAD) == set(GOOD)


def test_a_finding_names_its_line() -> None:
    source = Source(MODEL, "x = 1\n\nwith transaction.atomic():\n    pass")
    assert [finding.line for _, finding in check(source)] == [3]
