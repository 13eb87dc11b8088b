import json
import logging
import sys
from uuid import UUID

import pytest

from powerloom.web.logs import JsonFormatter, configuration, request_in_hand, without_secrets


def line(message: str = "Something happened", *, exc_info: object = None, **fields: object) -> dict[str, object]:
    record = logging.makeLogRecord({"msg": message, "levelname": "INFO", "levelno": 20, "name": "x", **fields})
    record.exc_info = exc_info  # type: ignore[assignment]  # as logging hands it over
    text = JsonFormatter().format(record)
    assert "\n" not in text
    found: dict[str, object] = json.loads(text)
    return found


def test_a_line_is_one_object_with_a_constant_message_and_its_fields() -> None:
    found = line(chain="acme", count=3, id_=UUID(int=1))
    assert found["message"] == "Something happened"
    assert (found["level"], found["chain"], found["count"]) == ("info", "acme", 3)
    assert found["id_"] == str(UUID(int=1))


def test_every_line_names_the_request_in_hand() -> None:
    token = request_in_hand.set("req_12345678")
    try:
        assert line()["request_id"] == "req_12345678"
    finally:
        request_in_hand.reset(token)
    assert line()["request_id"] == ""


def test_objects_are_not_written_only_plain_values() -> None:
    assert "request" not in line(request=object(), body={"password": "x"})
    assert "body" not in line(request=object(), body={"password": "x"})


@pytest.mark.parametrize(
    "text",
    [
        "GET /sessions/1/stream?ticket=CANARY&after_seq=1",
        "Authorization: Bearer CANARY",
        "authorization='bearer CANARY-x.y'".replace("bearer", "Bearer"),
        "postgres://app:CANARY@db/x",
        "password=CANARY host=x",
        "plm_CANARY",
        "plb_CANARY",
        "plprobe_CANARY",
        "key sk-ant-api03-CANARY",
        "x-api-key: CANARY",
        "eyJCANARY.eyJCANARY.CANARY",
    ],
)
def test_what_opens_a_door_is_cut_out(text: str) -> None:
    assert "CANARY" not in without_secrets(text)
    assert "CANARY" not in json.dumps(line(text, ensure_ascii=False))


def test_tracebacks_are_cut_too() -> None:
    try:
        raise RuntimeError("could not connect to postgres://app:CANARY@db/x with Bearer CANARY")
    except RuntimeError:
        found = line(exc_info=sys.exc_info())
    assert "RuntimeError" in str(found["error"])
    assert "CANARY" not in str(found)


def test_refused_requests_are_not_events_of_ours() -> None:
    loggers = configuration("INFO")["loggers"]
    assert isinstance(loggers, dict)
    assert loggers["django.request"] == {"level": "ERROR"}
    assert loggers["powerloom"] == {"level": "INFO"}


def test_what_foreign_servers_say_is_not_written_at_length() -> None:
    loggers = configuration("DEBUG")["loggers"]
    assert isinstance(loggers, dict)
    assert loggers["mcp.client"] == loggers["client"] == {"level": "CRITICAL"}
