"""What is absent and what is another tenant's answer the same bytes, where a query or a refusal could tell them apart.

Ids in paths and bodies are `tests/integration/test_route_table.py`'s.
"""

import json
from typing import Any
from uuid import uuid4

import pytest

from accounts import rbac
from powerloom.commands.registry import Need
from powerloom.kernel.errors import Denied
from tests.world import Api, World, actor_of, api_of, bind, make_group, make_role, root_of


def answered(api: Api, method: str, path: str, body: Any) -> tuple[int, str]:
    """Return status and body, the request id and the asked id put aside."""
    answer = getattr(api, method)(path, body) if method != "get" else api.get(path)
    text: str = answer.content.decode()
    if "request_id" in text:
        text = text.replace(json.loads(text)["error"]["request_id"], "…")
    return answer.status_code, text


QUERIES = [
    ("ou", "/access/check?action=agent:read&ou_id={}"),
    ("user", "/access/check?action=agent:read&ou_id=platform&principal_id={}"),
    ("user", "/access/explain?action=agent:read&ou_id=platform&principal_id={}"),
    ("ou", "/ous?ou_id={}"),
    ("ou", "/groups?ou_id={}"),
    ("ou", "/secrets?ou_id={}"),
    ("ou", "/users?home_ou_id={}"),
    ("ou", "/role-bindings?scope_ou_id={}"),
    ("user", "/role-bindings?principal_id={}"),
    ("role", "/role-bindings?role_id={}"),
]


@pytest.mark.parametrize(("kind", "path"), QUERIES)
def test_an_id_in_a_query_tells_nothing(world: World, kind: str, path: str) -> None:
    root, api = root_of(world.zeta), api_of(world.alice)
    foreign = {"ou": root.id, "user": world.mallory.id, "role": make_role(world.zeta, "Theirs", "agent:read").id}
    path = path.replace("=platform", f"={world.platform.id}")
    answers = {answered(api, "get", path.format(id_), None) for id_ in (uuid4(), foreign[kind])}
    assert len(answers) == 1


def test_a_denied_dry_run_stops_before_it_looks(world: World) -> None:
    """Whether the name is taken is not told to who may not make one."""
    make_group(world.platform, "taken")
    body = {"display_name": "X", "ou_id": str(world.platform.id)}
    eve = api_of(world.eve)
    answers = {answered(eve, "post", "/groups?dry_run=true", body | {"name": name}) for name in ("taken", "free")}
    assert [status for status, _ in answers] == [403]


def test_the_refusal_of_an_agents_principal_names_no_rule_of_it(world: World) -> None:
    """A right that another principal lacks because of a deny looks like one that it never had."""
    bind(world.vera, "SkillUser", world.platform)
    bind(world.vera, "SkillUser", world.root, decision="deny")
    told = set()
    for principal in (world.vera, world.eve):
        need = Need("skill:use", world.platform.target(), principal.id)
        with pytest.raises(Denied) as caught:
            rbac.Asked(actor_of(world.bob), []).meet(need)
        told.add((caught.value.message, json.dumps(caught.value.detail)))
    assert len(told) == 1
