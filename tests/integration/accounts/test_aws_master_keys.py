"""Sealed values under a master key in AWS Secrets Manager: sealed, opened, brought under the next key."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from accounts import sealing
from accounts.models import Sealed
from powerloom.kernel.aws_keys import aws_keys
from tests.cloud import REGION, secrets_manager, sign_in
from tests.world import World

pytestmark = pytest.mark.once


def test_a_value_is_sealed_opened_and_brought_under_the_next_key(
    world: World, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(monkeypatch)
    with secrets_manager() as url:
        settings.MASTER_KEYS = "powerloom.kernel.aws_keys.aws_keys"
        settings.AWS_SECRET, settings.AWS_REGION, settings.AWS_ENDPOINT = "powerloom/test", REGION, url
        aws_keys.cache_clear()
        row = Sealed.objects.get(pk=sealing.seal("value", kind="secret", organization_id=world.acme.id))
        assert row.key_id == "aws-1"
        call_command("rotate_master_key", stdout=StringIO())
        row.refresh_from_db()
        assert (row.key_id, sealing.unseal(row)) == ("aws-2", "value")
    aws_keys.cache_clear()
