"""Master keys in AWS Secrets Manager, against a local server that speaks its API."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import boto3
import pytest

from powerloom.kernel import envelope
from powerloom.kernel.aws_keys import KeysUnavailable, SecretsManagerKeys
from powerloom.kernel.envelope import KeyMissing, Label
from tests.cloud import REGION, secrets_manager, sign_in


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with secrets_manager() as url:
        yield url


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch)


@pytest.fixture
def secret() -> str:
    return f"powerloom/{uuid4().hex}"


def keys_of(secret: str, endpoint: str) -> SecretsManagerKeys:
    """The keys as one process has them."""
    return SecretsManagerKeys(secret, region=REGION, endpoint=endpoint)


def stored(secret: str, endpoint: str) -> dict[str, Any]:
    client = boto3.client("secretsmanager", region_name=REGION, endpoint_url=endpoint)
    found: dict[str, Any] = json.loads(
        client.get_secret_value(SecretId=secret, VersionStage="AWSCURRENT")["SecretString"]
    )
    return found


def test_the_first_use_makes_the_secret_with_a_key(secret: str, endpoint: str) -> None:
    key = keys_of(secret, endpoint).current()
    assert len(key.key) == 32
    assert keys_of(secret, endpoint).named(key.id) == key


def test_processes_that_start_together_agree_on_the_first_key(secret: str, endpoint: str) -> None:
    providers = [keys_of(secret, endpoint) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        keys = list(threads.map(lambda keys: keys.current(), providers))
    assert len(set(keys)) == 1


def test_after_a_rotation_others_open_what_is_new_at_once_and_what_is_old_as_before(secret: str, endpoint: str) -> None:
    one, other = keys_of(secret, endpoint), keys_of(secret, endpoint)
    label = Label(uuid4(), "secret", uuid4(), 1)
    old = envelope.seal(b"old", label, other)
    new_key = one.rotate()
    new = envelope.seal(b"new", label, one)
    assert new.key_id == new_key.id != old.key_id
    assert envelope.unseal(new, label, other) == b"new"
    assert envelope.unseal(old, label, one) == b"old"
    assert other.current() == new_key
    assert envelope.rewrap(old, label, other).key_id == new_key.id


def test_rotations_at_the_same_time_lose_no_key(secret: str, endpoint: str) -> None:
    first = keys_of(secret, endpoint).current()
    providers = [keys_of(secret, endpoint) for _ in range(3)]
    with ThreadPoolExecutor(3) as threads:
        made = list(threads.map(lambda keys: keys.rotate(), providers))
    assert set(stored(secret, endpoint)["keys"]) == {first.id, *(key.id for key in made)}
    assert len({first.id, *(key.id for key in made)}) == 4


def test_an_unknown_key_is_missing(secret: str, endpoint: str) -> None:
    with pytest.raises(KeyMissing, match="aws-7"):
        keys_of(secret, endpoint).named("aws-7")


def test_what_was_read_serves_while_aws_does_not_answer(secret: str) -> None:
    with secrets_manager() as url:
        keys = keys_of(secret, url)
        key = keys.current()
    keys._fresh_until = 0.0
    assert keys.current() == key
    with pytest.raises(KeysUnavailable) as told:
        keys_of(secret, url).current()
    assert "EndpointConnectionError" in str(told.value)
