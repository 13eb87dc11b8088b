"""Webhooks: signed as Standard Webhooks says, sent by the one egress client, with a log that keeps the status alone.

A message carries ids, verb and link, never what was asked: whoever may read that follows the link.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from base64 import b64encode
from collections.abc import Sequence
from typing import Any  # the message is JSON
from uuid import UUID

from django.conf import settings
from django.db.models import F
from django.utils import timezone
from standardwebhooks import Webhook as Signer

from accounts import sealing
from accounts.egress import way_of
from approvals import errands
from approvals.models import Delivery, Webhook
from powerloom.kernel.ids import new_id
from powerloom.web import egress

SEALED = "webhook"  # the kind of sealed row that holds a signing secret
SECRET_BYTES = 32  # Standard Webhooks: 24 to 64
SECONDS = 15.0
PING_SECONDS = 5.0  # somebody waits for it
MAX_ANSWER = 64 * 1024
MOST_FAILURES = 20  # in a row, then it is switched off


def minted(organization_id: UUID) -> tuple[str, UUID]:
    """Return a new signing secret, to be shown once, and the id of the sealed row that a command takes."""
    secret = f"whsec_{b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"
    return secret, sealing.seal(secret, kind=SEALED, organization_id=organization_id)


def send() -> int:
    """Send the deliveries that are due. Returns how many were tried."""
    claimed = errands.claimed(Delivery)
    rows = list(
        Delivery.objects.filter(pk__in=[one.pk for one in claimed]).select_related(
            "webhook__sealed", "webhook__organization", "notice__request__ou"
        )
    )
    live = [row for row in rows if _is_live(row)]
    for row in rows:
        if row not in live:
            errands.dropped(row, "the webhook was switched off or ended")
    prepared = [(row, *_prepared(row)) for row in live]
    for row, outcome in zip(live, asyncio.run(_post_all(prepared)), strict=True):
        _record(row, *outcome)
    return len(rows)


def ping(hook: Webhook) -> tuple[int | None, str]:
    """Send a webhook a signed message that says it is a test, and return the status and what came of it. It counts as
    no failure, and the log does not keep it.
    """
    if hook.sealed is None:
        return None, "the webhook was ended"
    said = {"type": "webhook.test", "timestamp": timezone.now().isoformat(), "data": {"webhook_id": str(hook.pk)}}
    sent = _signed(hook, f"msg_{new_id().hex}", said)
    return asyncio.run(_post(hook.url, *sent, way_of(hook.organization_id), seconds=PING_SECONDS))


def message(delivery: Delivery) -> dict[str, Any]:
    """Return what a webhook is told."""
    request, notice = delivery.notice.request, delivery.notice
    return {
        "type": f"approval.{notice.event}",
        "timestamp": notice.created_at.isoformat(),
        "data": {
            "approval_request_id": str(request.pk),
            "organization_id": str(request.organization_id),
            "action": request.action,
            "target_kind": request.target_kind,
            "target_id": str(request.target_id),
            "status": request.status,
            "url": f"{settings.PUBLIC_URL}/approvals/{request.pk}",
        },
    }


def _is_live(delivery: Delivery) -> bool:
    hook = delivery.webhook
    return hook.is_on and not hook.off_reason and hook.archived_at is None and hook.sealed is not None


def _prepared(delivery: Delivery) -> tuple[str, bytes, dict[str, str], egress.Way]:
    """Return address, body, headers and way: everything that needs the database, before anything is sent."""
    hook = delivery.webhook
    body, headers = _signed(hook, f"msg_{delivery.pk.hex}", message(delivery))
    return hook.url, body, headers, way_of(hook.organization_id)


def _signed(hook: Webhook, id_: str, said: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    assert hook.sealed is not None, "only live webhooks are sent to"
    now, body = timezone.now(), json.dumps(said, separators=(",", ":"))
    headers = {
        "Content-Type": "application/json",
        "webhook-id": id_,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Signer(sealing.unseal(hook.sealed)).sign(id_, now, body),
    }
    return body.encode(), headers


Prepared = tuple[Delivery, str, bytes, dict[str, str], egress.Way]


async def _post_all(prepared: Sequence[Prepared]) -> list[tuple[int | None, str]]:
    return await asyncio.gather(*(_post(url, body, headers, way) for _, url, body, headers, way in prepared))


async def _post(
    url: str, body: bytes, headers: dict[str, str], way: egress.Way, *, seconds: float = SECONDS
) -> tuple[int | None, str]:
    try:
        async with egress.client(way, timeout=seconds, max_bytes=MAX_ANSWER) as client:
            answer = await client.post(url, content=body, headers=headers)
    except egress.Blocked:
        return None, "the address may not be reached"
    except egress.Timeout:
        return None, "it did not answer in time"
    except egress.FAILURES as error:
        return None, f"it could not be reached: {type(error).__name__}"
    return answer.status_code, "taken" if answer.is_success else f"it answered {answer.status_code}"


def _record(delivery: Delivery, status: int | None, words: str) -> None:
    hook = Webhook.objects.filter(pk=delivery.webhook_id)
    if words == "taken":
        errands.done(delivery, words, status_code=status)
        hook.update(failures=0)
        return
    errands.failed(delivery, words, status_code=status)
    hook.update(failures=F("failures") + 1)
    reason = f"{MOST_FAILURES} failures in a row; the last: {words}. Change it to begin anew."
    hook.filter(failures__gte=MOST_FAILURES, off_reason="").update(off_reason=reason)
