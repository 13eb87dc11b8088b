"""The contract says what is so: valid OpenAPI 3.1, every route described, and a page that shows it without help."""

import json
import re
from functools import cache
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from packaging.version import Version

from powerloom.api.openapi import WRITES
from powerloom.api.v1 import api
from tests.world import World, api_of, make_group

pytestmark = pytest.mark.once


def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(api.get_openapi_schema(path_prefix="")))
    return found


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation) for path, found in document()["paths"].items() for method, operation in found.items()
    ]


def named(item: object) -> str:
    return item if isinstance(item, str) else ""


class TestDocument:
    def test_it_is_valid_openapi_3_1(self) -> None:
        found = document()
        assert found["openapi"].startswith("3.1")
        problems = [str(error.message)[:300] for error in OpenAPIV31SpecValidator(found).iter_errors()]
        assert problems == []

    def test_it_is_served_to_everyone(self, db: None) -> None:
        answer = Client(headers={"host": "localhost"}).get("/api/schema")
        assert answer.status_code == 200
        assert answer.json()["info"]["title"] == "Powerloom"

    def test_every_operation_has_a_name_of_its_own(self) -> None:
        names = [operation["operationId"] for _, _, operation in operations()]
        assert len(names) == len(set(names))

    @pytest.mark.parametrize(("method", "path", "operation"), operations(), ids=named)
    def test_every_route_says_what_it_does_and_how_it_ends(
        self, method: str, path: str, operation: dict[str, Any]
    ) -> None:
        assert re.match(r"[A-Z].{5,}", operation["summary"])
        assert not operation["summary"].endswith(".")
        assert operation["tags"]
        good = [status for status in operation["responses"] if status < "300" and status != "202"]
        assert len(good) == 1
        answer = operation["responses"][good[0]]
        assert (good[0] == "204") == ("content" not in answer), "an answer without a schema says nothing"
        assert {"400", "426", "503"} <= operation["responses"].keys()
        if "security" in operation:
            assert {"401", "403"} <= operation["responses"].keys()
        if method in WRITES and "security" in operation and "dry_run" in parameters(operation):
            assert {"404", "409", "422"} <= operation["responses"].keys()

    @pytest.mark.parametrize(("method", "path", "operation"), operations(), ids=named)
    def test_every_parameter_of_a_path_is_described(self, method: str, path: str, operation: dict[str, Any]) -> None:
        in_path = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path))

    def test_the_errors_have_the_one_shape(self, db: None) -> None:
        found = document()
        for name, answer in found["components"]["responses"].items():
            reference = answer["content"]["application/json"]["schema"]["$ref"]
            assert reference == f"#/components/schemas/{'Held' if name == 'Held' else 'Error'}"
        shape = Draft202012Validator(found["components"]["schemas"]["Error"])
        for path in ("/groups", "/nothing"):
            shape.validate(Client(headers={"host": "localhost"}).get(f"/api{path}").json())

    def test_lists_say_how_they_page(self) -> None:
        lists = [operation for _, path, operation in operations() if path in {"/groups", "/agents", "/audit"}]
        for operation in lists:
            if "requestBody" not in operation:
                assert {"limit", "cursor"} <= parameters(operation)

    def test_governed_writes_say_that_they_can_be_tried_and_repeated(self) -> None:
        create = next(operation for method, path, operation in operations() if (method, path) == ("post", "/groups"))
        assert {"dry_run", "Idempotency-Key"} <= parameters(create)
        assert "202" in create["responses"]


def parameters(operation: dict[str, Any]) -> set[str]:
    return {parameter["name"] for parameter in operation["parameters"]}


def test_answers_are_as_the_contract_says(world: World) -> None:
    make_group(world.root, "leads")
    components = document()["components"]
    for path in (
        "/groups",
        "/ous",
        "/ous/tree",
        "/users",
        "/roles",
        "/role-bindings",
        "/me",
        "/audit",
        "/capabilities",
    ):
        operation = document()["paths"][path]["get"]
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        Draft202012Validator({**schema, "components": components}).validate(api_of(world.alice).get(path).json())


class TestCapabilities:
    def test_they_are_told_to_everyone(self, db: None) -> None:
        found = Client(headers={"host": "localhost"}).get("/api/capabilities").json()
        assert found["api_contract_version"] == "2.0.2"
        assert found["actor_kinds"] == ["user", "agent"]
        assert found["min_loomcli_version"] is None
        for name in ("server_version", "api_contract_version", "recommended_loomcli_version"):
            assert str(Version(found[name])) == found[name]

    def test_the_routes_are_those_of_the_contract(self, db: None) -> None:
        found = Client(headers={"host": "localhost"}).get("/api/capabilities").json()["routes"]
        listed = {(route["method"].lower(), route["path"]) for route in found}
        assert listed == {(method, path) for method, path, _ in operations()}
        assert len({route["key"] for route in found}) == len(found)


class Page(HTMLParser):
    """What a browser would fetch for a page, and what it shows."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.anchors: list[str] = []
        self.ids: list[str] = []
        self.forbidden: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag in {"script", "style", "iframe"} or "style" in found or any(name.startswith("on") for name in found):
            self.forbidden.append(self.get_starttag_text() or tag)
        self.fetched += [found[name] for name in ("src", "href") if name in found and tag in {"link", "img", "script"}]
        self.anchors += [found["href"][1:] for _ in [0] if tag == "a" and found.get("href", "").startswith("#")]
        self.ids += [found["id"]] if "id" in found else []

    def handle_data(self, data: str) -> None:
        self.text += data


@cache
def docs() -> Page:
    answer = Client(headers={"host": "localhost"}).get("/api/docs")
    assert answer.status_code == 200
    return Page(answer.content.decode())


class TestDocs:
    @pytest.fixture
    def page(self, db: None) -> Page:
        """The page, which is the same for everybody."""
        return docs()

    def test_every_route_is_on_the_page(self, page: Page) -> None:
        for method, path, operation in operations():
            assert f"{method.upper()}{path}{operation['summary']}" in page.text

    def test_it_needs_nothing_from_outside_and_no_script(self, page: Page) -> None:
        assert page.fetched
        assert all(address.startswith("/static/") for address in page.fetched)
        assert page.forbidden == []

    def test_its_links_lead_somewhere_and_its_ids_are_unique(self, page: Page) -> None:
        assert set(page.anchors) <= set(page.ids)
        assert len(page.ids) == len(set(page.ids))

    def test_bodies_answers_and_errors_are_shown(self, page: Page) -> None:
        for words in (
            "display_name",
            "required",
            "Idempotency-Key (header)",
            "request_id",
            "array of",
            "multipart/form-data",
        ):
            assert words in page.text

    def test_it_is_at_the_root_of_an_api_host(self, db: None, settings: Any) -> None:
        settings.API_HOSTS = ["api.acme.example"]
        settings.ALLOWED_HOSTS = ["api.acme.example"]
        answer = Client(headers={"host": "api.acme.example"}).get("/docs")
        assert "http://api.acme.example/schema" in answer.content.decode()
