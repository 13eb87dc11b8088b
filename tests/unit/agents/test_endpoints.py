import pytest

from agents.endpoints import is_loopback, unreachable

HOSTED = "https://api.anthropic.com"
LOCAL = "http://127.0.0.1:43210"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8001",
        "http://127.8.0.1",
        "http://[::1]:8001",
        "http://localhost:8001",
        "https://LOCALHOST",
        "http://fleet.localhost",
    ],
)
def test_an_address_of_this_machine_alone_is_known_by_its_look(url: str) -> None:
    assert is_loopback(url)
    fault = unreachable(cma_url=HOSTED, fleet_url=url)
    assert url in fault
    assert "POWERLOOM_FLEET_URL" in fault
    assert unreachable(cma_url=LOCAL, fleet_url=url) == ""


@pytest.mark.parametrize(
    "url", ["https://fleet.acme.example", "http://10.0.0.4:8001", "http://localhost.acme.example", "http://1.127.0.0"]
)
def test_any_other_address_may_be_in_reach(url: str) -> None:
    assert not is_loopback(url)
    assert unreachable(cma_url=HOSTED, fleet_url=url) == ""


def test_without_a_runtime_there_is_nothing_to_say() -> None:
    assert unreachable(cma_url="", fleet_url="http://127.0.0.1:8001") == ""
