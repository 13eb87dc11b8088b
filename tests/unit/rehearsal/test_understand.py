"""What people write to the meta-agent, and what the rehearsal makes of it."""

from dataclasses import replace

import pytest

from powerloom.cma.local.rehearsal.request import Request, Want, folded, name_of, understand

pytestmark = pytest.mark.once

APOLLO, GMAIL = Want("apollo", "server"), Want("gmail", "server")
SALES = Request("create", purpose="sales-prospecting", beneficiary="Emma", where="sales", wants=(APOLLO, GMAIL))

ANALYST = (
    "Create a PostgreSQL analysis agent for the platform team. It should use the pg-analytics MCP server and the"
    " sql-review skill. Owner is admin@acme.com."
)
SCOUT = (
    "Please create an agent called scout in /dev-org/sales for emma@dev.local with the skills web-search and"
    " sql-review on claude-opus-4-6."
)

SENTENCES = [
    ("Set up a scoped sales-prospecting agent for Emma on the sales team with Apollo and Gmail access.", SALES),
    (
        ANALYST,
        Request(
            "create",
            purpose="PostgreSQL analysis",
            where="platform",
            owner="admin@acme.com",
            wants=(Want("pg-analytics", "server"), Want("sql-review", "skill")),
        ),
    ),
    (
        "Set up a code review agent for the engineering team.",
        Request("create", purpose="code review", where="engineering"),
    ),
    ("Set up a code review agent for engineering", Request("create", purpose="code review", beneficiary="engineering")),
    (
        SCOUT,
        Request(
            "create",
            name="scout",
            where="/dev-org/sales",
            owner="emma@dev.local",
            model="claude-opus-4-6",
            wants=(Want("web-search", "skill"), Want("sql-review", "skill")),
        ),
    ),
    (
        "I need an agent that reviews code in engineering/platform",
        Request("create", purpose="reviews code", where="engineering/platform"),
    ),
    (
        "Give Emma a lead research agent in /dev-org/sales with access to Apollo and Gmail.",
        Request("create", purpose="lead research", where="/dev-org/sales", wants=(Want("apollo"), Want("gmail"))),
    ),
    (
        "Provision a triage agent in /acme/engineering, not the root OU.",
        Request("create", purpose="triage", where="/acme/engineering"),
    ),
    (
        "What agents and MCP servers already exist in the engineering OU?",
        Request("list", kinds=("agents", "servers"), where="engineering"),
    ),
    ("What exists in /dev-org/sales?", Request("list", where="/dev-org/sales")),
    ("List all skills", Request("list", kinds=("skills",))),
    ("Who is on the sales team?", Request("list", kinds=("users",), where="sales")),
    ("Show me the tree of OUs", Request("list", kinds=("ous",))),
    ("Attach the web-search skill to scout", Request("attach", agent="scout", wants=(Want("web-search", "skill"),))),
    ("Add gmail-mcp to the agent scout.", Request("attach", agent="scout", wants=(Want("gmail-mcp"),))),
    (
        "Wire apollo-mcp, gmail-mcp and the web-search skill to it",
        Request("attach", agent="it", wants=(Want("apollo-mcp"), Want("gmail-mcp"), Want("web-search", "skill"))),
    ),
    ("Give scout the sql-review skill", Request("attach", agent="scout", wants=(Want("sql-review", "skill"),))),
    (
        "Mint a credential for scout on apollo-mcp",
        Request("credential", agent="scout", wants=(Want("apollo-mcp"),)),
    ),
    ("Describe the agent scout", Request("describe", agent="scout")),
    ("Who is emma@dev.local?", Request("describe", owner="emma@dev.local")),
    ("go on", Request("go_on")),
    ("Hello there", Request("other")),
    ("", Request("other")),
    ("?!.,;", Request("other")),
]


@pytest.mark.parametrize(("text", "expected"), SENTENCES, ids=[text[:40] for text, _ in SENTENCES])
def test_it_understands(text: str, expected: Request) -> None:
    assert understand(text) == expected


ASKED = Request("create", purpose="triage", wants=(APOLLO,))


@pytest.mark.parametrize(
    ("text", "slot", "expected"),
    [
        ("/dev-org/sales", "where", {"where": "/dev-org/sales"}),
        ("sales", "where", {"where": "sales"}),
        ("the sales team", "where", {"where": "sales"}),
        ("In engineering, please.", "where", {"where": "engineering"}),
        (
            "Provision this in /acme/engineering/platform, not the root OU.",
            "where",
            {"where": "/acme/engineering/platform"},
        ),
        ("In sales, owned by emma@dev.local", "where", {"where": "sales", "owner": "emma@dev.local"}),
        ("gmail-mcp", "wants", {"wants": (APOLLO, Want("gmail-mcp"))}),
        ("call it scout", "name", {"name": "scout"}),
        ("scout", "name", {"name": "scout"}),
        ("emma@dev.local", "owner", {"owner": "emma@dev.local"}),
        ("go on", "wants", {}),
        ("yes", "where", {}),
    ],
)
def test_an_answer_completes_what_was_asked(text: str, slot: str, expected: dict[str, object]) -> None:
    assert folded(ASKED, text, slot) == replace(ASKED, **expected)  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize("text", ["What exists in /dev-org/sales?", "Create a review agent in sales", "Describe scout"])
def test_another_request_is_no_answer(text: str) -> None:
    assert folded(ASKED, text, "where") is None


@pytest.mark.parametrize(
    ("purpose", "name"),
    [
        ("sales-prospecting", "sales-prospector"),
        ("PostgreSQL analysis", "postgresql-analyst"),
        ("code review", "code-reviewer"),
        ("Grüße & invoices", "gr-e-invoices-agent"),
        ("x" * 200, "x" * 57 + "-agent"),
    ],
)
def test_it_names_an_agent_after_its_work(purpose: str, name: str) -> None:
    assert name_of(purpose) == name
    assert len(name_of(purpose)) <= 63
