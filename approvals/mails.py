"""Mails about requests, at most so many to one person within an hour; the last says so, and the inbox has them all."""

from __future__ import annotations

from datetime import timedelta
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import timezone

from accounts.law import shown
from accounts.tokens import actor_of_user
from approvals import errands
from approvals.exposure import names
from approvals.models import Mail
from approvals.telling import ASKED
from powerloom.web.text import visible

HOUR = timedelta(hours=1)

SUBJECTS = {
    ASKED: "Approval asked: {what}",
    "approved": "Approved: {what}",
    "applied": "Applied: {what}",
    "rejected": "Rejected: {what}",
    "cancelled": "Cancelled: {what}",
    "expired": "Expired: {what}",
    "failed": "Could not be applied: {what}",
}


def send() -> int:
    """Send the mails that are due. Returns how many were looked at."""
    mails = errands.claimed(Mail)
    for mail in mails:
        _send(Mail.objects.select_related("user", "notice__request__ou").get(pk=mail.pk))
    return len(mails)


def _send(mail: Mail) -> None:
    since = timezone.now() - HOUR
    sent = Mail.objects.filter(user_id=mail.user_id, sent_at__gt=since).count()
    if sent >= settings.MAX_MAILS_PER_HOUR:
        errands.dropped(mail, "over the hour's limit; it is in the inbox")
        return
    try:
        _message(mail, is_last=sent + 1 == settings.MAX_MAILS_PER_HOUR).send()
    except (SMTPException, OSError) as error:
        errands.failed(mail, f"the mail server did not take it: {type(error).__name__}")
        return
    errands.done(mail, "sent")


def _message(mail: Mail, *, is_last: bool) -> EmailMessage:
    request = mail.notice.request
    what = visible(f"{request.action} {names(actor_of_user(mail.user), [request])[request.pk]}")
    lines = [
        f"{visible(request.requester_ref)} asked for {what} on {shown(request.ou.path)}.",
        "",
        f"Open it: {settings.PUBLIC_URL}/approvals/{request.pk}",
    ]
    if mail.notice.event == ASKED:
        lines.insert(1, f"It waits for you until {request.expires_at:%Y-%m-%d %H:%M} UTC.")
    if is_last:
        lines += ["", "There were many within the hour, so this is the last mail of it. The inbox shows all of them."]
    subject = SUBJECTS[mail.notice.event].format(what=what)[:200]
    return EmailMessage(subject, "\n".join(lines), settings.DEFAULT_FROM_EMAIL, [mail.user.email])
