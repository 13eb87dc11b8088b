"""The documentation's own lines of curl, run as they are printed against a running product on its own API host."""

import json
import subprocess
from typing import Any

import pytest

from powerloom.run import devorg
from tests.product import API_HOST, Product

pytestmark = pytest.mark.sqlite_only

CREATE = """curl -X POST http://api.powerloom.org/agents \\
-H "Authorization: Bearer $TOKEN" \\
-d '{
"name": "second-reviewer",
"ou_id": "'"$OU_ID"'",
"display_name": "Code Reviewer",
"model": "claude-sonnet-4-6",
"system_prompt": "Review Python code for correctness...",
"agent_kind": "user",
"owner_principal_id": "'"$OWNER_ID"'"
}'"""
ATTACH = """curl -X POST http://api.powerloom.org/agents/$AGENT_ID/skills \\
-H "Authorization: Bearer $TOKEN" \\
-d '{"skill_id": "'"$SKILL_ID"'", "skill_version_id": "'"$VERSION_ID"'"}'"""
INVOKE = """curl -X POST http://api.powerloom.org/agents/$AGENT_ID/invoke \\
-H "Authorization: Bearer $TOKEN" \\
-d '{
"prompt": "Review the migration in PR #42 for safety issues.",
"mode": "fire_and_forget",
"title": "PR #42 review"
}'"""


def run(up: Product, line: str, **names: str) -> Any:
    """Run a line in a shell; its host is found on this machine, as a name server would say."""
    port = up.url.rpartition(":")[2]
    here = line.replace("curl ", f"curl -sS --noproxy '*' --connect-to {API_HOST}:80:127.0.0.1:{port} ", 1)
    done = subprocess.run(["/bin/sh", "-c", here], env=names, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_the_printed_lines_create_attach_and_invoke(up: Product) -> None:
    with up.client(devorg.ADMIN) as api:
        ou = next(row for row in api.get("/ous").json() if row["name"] == "engineering")
        skill = next(row for row in api.get("/skills").json() if row["name"] == devorg.SKILL["name"])
        names = {
            "TOKEN": api.headers["Authorization"].removeprefix("Bearer "),
            "OU_ID": ou["id"],
            "OWNER_ID": api.get("/me").json()["principal_id"],
            "SKILL_ID": skill["id"],
            "VERSION_ID": skill["current_version_id"],
        }
        agent = run(up, CREATE, **names)
        assert agent["system_prompt"] == "Review Python code for correctness..."
        attached = run(up, ATTACH, AGENT_ID=agent["id"], **names)
        assert attached["skill_version_id"] == names["VERSION_ID"]
        live = next(row for row in api.get("/agents").json() if row["name"] == devorg.AGENT["name"])
        invoked = run(up, INVOKE, AGENT_ID=live["id"], **names)
        assert invoked["mode"] == "fire_and_forget"
        assert invoked["ws_url"]


def test_an_error_has_the_one_shape_over_the_wire_too(up: Product) -> None:
    refused = run(up, "curl http://api.powerloom.org/agents")
    assert refused["error"]["code"] == "unauthenticated"
    deep = run(
        up,
        """curl http://api.powerloom.org/auth/token -d "$(printf '%0100000d' 0 | tr 0 '[')" """,
        PATH="/usr/bin:/bin",
    )
    assert deep["error"]["code"] == "invalid"


def test_what_it_logs_is_json_and_opens_no_door(up: Product) -> None:
    with up.client(devorg.ADMIN) as api:
        token = api.headers["Authorization"].removeprefix("Bearer ")
        api.get("/nothing", params={"ticket": "CANARY"})
    logged = up.output()
    assert "CANARY" not in logged
    assert "ticket=" not in logged
    assert token not in logged
    assert "Traceback" not in logged
