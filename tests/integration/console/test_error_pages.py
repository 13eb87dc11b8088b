"""Error pages: in the look, with the request's id, and in the API's own shape for the API."""

import json

import pytest
from django.test import Client, RequestFactory

from powerloom.console import errors


def test_an_unknown_address_is_a_page_with_the_requests_id(alice: Client) -> None:
    answer = alice.get("/nothing-here", headers={"X-Request-Id": "req_from_a_test"})
    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()
    assert "req_from_a_test" in answer.content.decode()
    assert 'id="rail"' in answer.content.decode()


def test_who_is_not_signed_in_gets_it_without_the_shell(db: None) -> None:
    answer = Client().get("/nothing-here")
    assert answer.status_code == 404
    assert 'id="rail"' not in answer.content.decode()


def test_an_unknown_address_of_the_api_is_json(db: None) -> None:
    answer = Client().get("/api/nothing-here")
    assert (answer.status_code, json.loads(answer.content)["error"]["code"]) == (404, "not_found")


def test_a_host_that_is_not_ours_is_told_so(db: None) -> None:
    answer = Client(HTTP_HOST="evil.example").get("/sign-in")
    assert answer.status_code == 400
    assert "evil.example" not in answer.content.decode()


def test_what_broke_is_said_without_the_database() -> None:
    request = RequestFactory().get("/agents")
    request.META["powerloom.request_id"] = "req_from_a_test"
    answer = errors.broken(request)
    assert answer.status_code == 500
    assert "req_from_a_test" in answer.content.decode()


@pytest.mark.parametrize("handler", [errors.bad_request, errors.forbidden])
def test_djangos_own_refusals_are_pages_too(handler: object) -> None:
    answer = handler(RequestFactory().get("/agents"), Exception())  # type: ignore[operator]  # each is a handler
    assert answer.status_code in {400, 403}
    assert "<h1>" in answer.content.decode()
