import pytest

from powerloom.cma.local.errors import ApiError
from powerloom.cma.local.limits import Limits, class_of


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/v1/agents", "create"),
        ("POST", "/v1/vaults/vlt_1/credentials", "create"),
        ("POST", "/v1/skills/skill_1/versions", "create"),
        ("POST", "/v1/agents/agent_1", "other"),
        ("GET", "/v1/agents", "other"),
        ("POST", "/v1/sessions/sesn_1/events", "other"),
        ("POST", "/v1/environments", "environments"),
        ("GET", "/v1/environments/env_1", "environments"),
        ("GET", "/v1/environments_of_another_kind", "other"),
    ],
)
def test_each_call_belongs_to_one_class(method: str, path: str, expected: str) -> None:
    assert class_of(method, path) == expected


@pytest.mark.parametrize(
    ("path", "per_minute"), [("/v1/agents", 300), ("/v1/environments", 60), ("/v1/agents/a/archive", 600)]
)
def test_a_minutes_worth_is_let_through_and_the_next_is_told_to_wait(path: str, per_minute: int) -> None:
    clock = Clock()
    limits = Limits(clock)
    for _ in range(per_minute):
        limits.check("POST", path)
    with pytest.raises(ApiError) as refused:
        limits.check("POST", path)
    assert (refused.value.status, refused.value.kind) == (429, "rate_limit_error")
    clock.now += float(refused.value.headers["retry-after"])
    limits.check("POST", path)


def test_one_class_does_not_eat_from_another() -> None:
    limits = Limits(Clock())
    for _ in range(300):
        limits.check("POST", "/v1/agents")
    limits.check("GET", "/v1/agents")
    limits.check("POST", "/v1/environments")


def test_a_bucket_holds_at_most_a_minutes_worth() -> None:
    clock = Clock()
    limits = Limits(clock)
    clock.now += 3600
    for _ in range(60):
        limits.check("GET", "/v1/environments")
    with pytest.raises(ApiError):
        limits.check("GET", "/v1/environments")
