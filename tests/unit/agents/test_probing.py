import time
from uuid import UUID

import pytest

from agents.fleet import probing
from powerloom.kernel.ids import new_id

HERE, ELSEWHERE = new_id(), new_id()


def test_a_probe_opens_its_own_deployment_and_no_other() -> None:
    token = probing.probe_token(HERE)
    assert probing.is_probe(token, HERE)
    assert not probing.is_probe(token, ELSEWHERE)


@pytest.mark.parametrize("ends_in", [-1, 0, 3600])
def test_a_probe_lives_for_a_minute_whoever_made_it(ends_in: int) -> None:
    ends_at = int(time.time()) + ends_in
    assert not probing.is_probe(f"{probing.PREFIX}{ends_at}_{probing._mark(HERE, ends_at)}", HERE)


@pytest.mark.parametrize(
    "bearer",
    ["", "plprobe_", "plprobe__", "plprobe_1", "plprobe_²_x", "plprobe_9999999999999999_x", "plprobe_-1_x", "é_é"],
)
def test_what_is_no_probe_opens_nothing(bearer: str) -> None:
    assert not probing.is_probe(bearer, HERE)


def test_a_longer_life_cannot_be_written_onto_a_probe() -> None:
    moment, mark = probing.probe_token(HERE).removeprefix(probing.PREFIX).split("_")
    assert not probing.is_probe(f"{probing.PREFIX}{int(moment) - 1}_{mark}", HERE)
    assert not probing.is_probe(f"{probing.PREFIX}{moment}_{mark[:-1]}", HERE)


def test_a_probe_of_another_deployment_is_no_prefix_game() -> None:
    assert not probing.is_probe(probing.probe_token(UUID(int=1)), UUID(int=11))
