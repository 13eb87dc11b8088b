"""The development organization, as data: what the first run declares through the public API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any  # JSON of the API

NAME = "dev-org"
ADMIN = "admin@dev.local"

ENGINEERING = f"/{NAME}/engineering"
PLATFORM = f"{ENGINEERING}/platform"
SALES = f"/{NAME}/sales"

OUS = (  # parents before children: parent path, name, display name
    (f"/{NAME}", "engineering", "Engineering"),
    (ENGINEERING, "platform", "Platform"),
    (f"/{NAME}", "sales", "Sales"),
)


@dataclass(frozen=True)
class Person:
    """One of the cast: a user, its home, and the one role it has somewhere."""

    email: str
    name: str
    home: str
    role: str
    scope: str


CAST = (
    Person("erin@dev.local", "Erin Engineer", ENGINEERING, "OUAdmin", ENGINEERING),
    Person("omar@dev.local", "Omar Operator", PLATFORM, "AgentOperator", ENGINEERING),
    Person("emma@dev.local", "Emma Sales", SALES, "AgentOwner", SALES),
    Person("vera@dev.local", "Vera Approver", ENGINEERING, "Approver", f"/{NAME}"),
    Person("audrey@dev.local", "Audrey Auditor", SALES, "Auditor", f"/{NAME}"),
)

SKILL = {
    "name": "python-lint",
    "display_name": "Python Linter",
    "description": "Lint Python files for style and error patterns.",
    "skill_type": "archive",
}

SKILLS: tuple[tuple[dict[str, str], str], ...] = (  # each with the OU that it is declared in
    (SKILL, ENGINEERING),
    (
        {
            "name": "sql-review",
            "display_name": "SQL Review",
            "description": "Review SQL for correctness, cost and safety before it is run.",
            "skill_type": "archive",
        },
        PLATFORM,
    ),
    (
        {
            "name": "web-search",
            "display_name": "Web Search",
            "description": "Search the web for prospects, companies and news, with sources.",
            "skill_type": "archive",
        },
        SALES,
    ),
)

AGENT = {
    "name": "code-reviewer",
    "display_name": "Code Reviewer",
    "description": "Reviews Python changes.",
    "model": "claude-sonnet-4-6",
    "system_prompt": (
        "Review Python code for correctness, security, and style.\n"
        "Flag potential bugs. Suggest improvements. Be concise.\n"
    ),
    "runtime_type": "cma",
    "agent_kind": "user",
}

DEPLOYMENT: dict[str, Any] = {  # serves the sources that this very product runs from
    "name": "repo-files",
    "display_name": "Repository Files",
    "template_kind": "files",
    "isolation_mode": "shared",
    "policy_json": {"denied_tools": ["write_file"]},
}

# Servers that a team would register. Here they echo, so that an agent which is given one can call it.
STAND_INS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"name": "apollo-mcp", "display_name": "Apollo (stand-in that echoes)", "template_kind": "echo"}, SALES),
    ({"name": "gmail-mcp", "display_name": "Gmail (stand-in that echoes)", "template_kind": "echo"}, SALES),
    ({"name": "pg-analytics", "display_name": "Analytics (stand-in that echoes)", "template_kind": "echo"}, PLATFORM),
)

PROMPT = "Review the migration in PR #42 for safety issues."
TITLE = "PR #42 review"
