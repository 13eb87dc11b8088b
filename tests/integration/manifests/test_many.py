"""A manifest of many documents costs as many queries as one of few: nothing is read or judged a document at a time."""

from itertools import groupby
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.models import Agent
from powerloom.audit.models import Entry
from tests.integration.manifests.sending import send
from tests.world import World, api_of

FEW, MANY = 10, 60
PLACE = "/acme/engineering"
FIXED = "model: m, owner_principal_ref: 'user:bob@acme.example'"


def manifest(label: str, number: int, prompt: str = "Be brief.") -> str:
    """OUs, groups, skills and agents: `number` of each."""
    documents = []
    for one in range(number):
        place = f"{PLACE}/{label}-{one}"
        documents += [
            f"kind: OU\nmetadata: {{name: {label}-{one}, parent_ou_path: {PLACE}}}\n",
            f"kind: Group\nmetadata: {{name: {label}, ou_path: {place}}}\n",
            f"kind: Skill\nmetadata: {{name: {label}, ou_path: {place}}}\n",
            f"kind: Agent\nmetadata: {{name: {label}, ou_path: {place}}}\nspec: {{system_prompt: {prompt}, {FIXED}}}\n",
        ]
    return "---\n".join(documents)


def queries(world: World, act: str, text: str, verb: str) -> int:
    """Return how many statements a request takes; rows that SQLite takes in batches count as one statement."""
    with CaptureQueriesContext(connection) as caught:
        answer: Any = send(api_of(world.bob), act, text)
    assert answer.status_code == 200, answer.content
    assert {row["act"] for row in answer.json()["resources"]} == {verb}
    statements = [query["sql"] for query in caught.captured_queries]
    return len([key for key, _ in groupby(enumerate(statements), lambda one: _batch(*one))])


def _batch(place: int, statement: str) -> object:
    is_bulk = statement.startswith("INSERT") or " = CASE WHEN " in statement
    return statement[:60] if is_bulk else place


@pytest.mark.parametrize("act", ["plan", "apply"])
def test_queries_do_not_grow_with_the_documents(world: World, act: str) -> None:
    send(api_of(world.bob), "apply", manifest("first", 1))  # makes what the organization's agents share
    few = queries(world, act, manifest("few", FEW), "create")
    assert queries(world, act, manifest("many", MANY), "create") == few
    if act == "apply":
        assert Entry.objects.filter(action="agent:create").count() == Agent.objects.count() == 1 + FEW + MANY


@pytest.mark.parametrize("act", ["plan", "apply"])
def test_nor_with_how_many_are_as_they_should_be_or_change(world: World, act: str) -> None:
    for label, number in (("few", FEW), ("many", MANY)):
        assert send(api_of(world.bob), "apply", manifest(label, number)).status_code == 200
    same = [queries(world, act, manifest(label, number), "noop") for label, number in (("few", FEW), ("many", MANY))]
    assert len(set(same)) == 1

    def changing(label: str, number: int) -> int:
        documents = manifest(label, number, "Be long.").split("---\n")
        return queries(world, act, "---\n".join(documents[3::4]), "update")

    assert changing("few", FEW) == changing("many", MANY)


def test_nor_with_how_many_are_refused(world: World) -> None:
    def refused(number: int) -> int:
        text = "---\n".join(f"kind: Skill\nmetadata: {{name: s{one}, ou_path: /acme/sales}}\n" for one in range(number))
        with CaptureQueriesContext(connection) as caught:
            rows = send(api_of(world.bob), "plan", text).json()["resources"]
        assert {row["verb"] for row in rows} == {"denied"}
        return len(caught)

    assert refused(FEW) == refused(MANY)
