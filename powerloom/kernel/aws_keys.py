"""Master keys in one secret of AWS Secrets Manager: `{"current": id, "keys": {id: base64}}`, as in the local file.

All keys stand in the newest version of the secret, because AWS may delete older versions. A change is a new version
that takes the label AWSCURRENT from the one it was made of: AWS refuses that when another change came first, so no key
is lost when two rotate at once. What was read is used for `FRESH_SECONDS`; a key that is not among it is looked for at
once. Should AWS not answer, what was read last still opens and seals.

Whoever runs this needs secretsmanager:GetSecretValue on that secret; the first start CreateSecret too, and a rotation
PutSecretValue and UpdateSecretVersionStage.
"""

from __future__ import annotations

import json
import logging
import os
import time
from base64 import b64decode, b64encode
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any  # boto3 makes its clients at run time
from uuid import uuid4

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from powerloom.kernel.envelope import KEY_BYTES, KeyMissing, MasterKey

log = logging.getLogger(__name__)

FRESH_SECONDS = 60.0
ATTEMPTS = 5  # of a change that others keep overtaking
CURRENT = "AWSCURRENT"
PATIENCE = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 3, "mode": "standard"})


class KeysUnavailable(Exception):
    """AWS does not give the keys, and none were read before. Names the class of the failure, and no more."""


@cache
def aws_keys() -> SecretsManagerKeys:
    """Return the master keys of the secret that the settings name."""
    return SecretsManagerKeys(settings.AWS_SECRET, region=settings.AWS_REGION, endpoint=settings.AWS_ENDPOINT)


@dataclass(frozen=True)
class Held:
    """The keys as one version of the secret has them."""

    version: str
    current: str
    keys: dict[str, bytes]


class SecretsManagerKeys:
    """The provider over one secret, made with its first key on first use."""

    def __init__(self, secret: str, *, region: str = "", endpoint: str = "") -> None:
        self._secret = secret
        self._client: Any = boto3.client(
            "secretsmanager", region_name=region or None, endpoint_url=endpoint or None, config=PATIENCE
        )
        self._lock = Lock()
        self._held: Held | None = None
        self._fresh_until = 0.0

    def current(self) -> MasterKey:
        held = self._recent()
        return MasterKey(held.current, held.keys[held.current])

    def named(self, key_id: str) -> MasterKey:
        held = self._recent()
        if key_id not in held.keys:
            held = self._recent(at_once=True)  # another process may have rotated meanwhile
        if key_id not in held.keys:
            raise KeyMissing(f"The master key {key_id} is not in the secret {self._secret}.")
        return MasterKey(key_id, held.keys[key_id])

    def rotate(self) -> MasterKey:
        """As the protocol says. Raises `KeysUnavailable`; whether AWS did it all the same, its console tells."""
        for _ in range(ATTEMPTS):
            before = self._recent(at_once=True)
            key_id = f"aws-{len(before.keys) + 1}"
            after = {**before.keys, key_id: os.urandom(KEY_BYTES)}
            try:
                self._replace(before.version, _written(key_id, after))
            except ClientError as error:
                if _code(error) != "InvalidParameterException":  # that one: another change took the label first
                    raise self._unavailable(error) from error
            except BotoCoreError as error:
                raise self._unavailable(error) from error
            else:
                self._recent(at_once=True)
                return self.named(key_id)
        raise KeysUnavailable(f"Others keep changing the secret {self._secret}. Rotate again.")

    def _recent(self, *, at_once: bool = False) -> Held:
        with self._lock:
            if self._held is None or at_once or time.monotonic() > self._fresh_until:
                self._held = self._asked(self._held)
                self._fresh_until = time.monotonic() + FRESH_SECONDS
            return self._held

    def _asked(self, before: Held | None) -> Held:
        try:
            return self._read()
        except (BotoCoreError, ClientError) as error:
            if before is None:
                raise self._unavailable(error) from error
            log.warning("The master keys could not be read again", extra={"error_type": type(error).__name__})
            return before

    def _read(self) -> Held:
        try:
            answer = self._client.get_secret_value(SecretId=self._secret, VersionStage=CURRENT)
        except ClientError as error:
            if _code(error) != "ResourceNotFoundException":
                raise
            self._make()
            answer = self._client.get_secret_value(SecretId=self._secret, VersionStage=CURRENT)
        stored = json.loads(answer["SecretString"])
        keys = {key_id: b64decode(key) for key_id, key in stored["keys"].items()}
        return Held(answer["VersionId"], stored["current"], keys)

    def _make(self) -> None:
        """Make the secret with its first key, unless another process just did."""
        first = _written("aws-1", {"aws-1": os.urandom(KEY_BYTES)})
        try:
            self._client.create_secret(Name=self._secret, SecretString=first, Description="Powerloom's master keys")
        except ClientError as error:
            if _code(error) != "ResourceExistsException":
                raise

    def _replace(self, version: str, text: str) -> None:
        """Put a new version in the place of exactly this one."""
        mark = f"powerloom-{uuid4().hex}"
        put = self._client.put_secret_value(SecretId=self._secret, SecretString=text, VersionStages=[mark])
        new = {"SecretId": self._secret}
        try:
            self._client.update_secret_version_stage(
                **new, VersionStage=CURRENT, RemoveFromVersionId=version, MoveToVersionId=put["VersionId"]
            )
        finally:  # a version without a label is one that AWS may forget
            self._client.update_secret_version_stage(**new, VersionStage=mark, RemoveFromVersionId=put["VersionId"])

    def _unavailable(self, error: Exception) -> KeysUnavailable:
        code = _code(error) if isinstance(error, ClientError) else type(error).__name__
        return KeysUnavailable(f"AWS Secrets Manager does not give the secret {self._secret} ({code}).")


def _written(current: str, keys: dict[str, bytes]) -> str:
    return json.dumps({"current": current, "keys": {id_: b64encode(key).decode() for id_, key in keys.items()}})


def _code(error: ClientError) -> str:
    code: str = error.response.get("Error", {}).get("Code", "")
    return code
