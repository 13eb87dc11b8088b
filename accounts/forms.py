"""Forms of accounts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any  # cleaned form values

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts import sign_in
from accounts.commands.tokens import LIFETIME, LONGEST_LIFETIME
from accounts.devices import Chosen
from accounts.law import shown
from accounts.models import OU
from accounts.roles import expand, known_actions
from powerloom.kernel.errors import TooMany, Unauthenticated
from powerloom.web.forms import Renderer
from powerloom.web.requests import address, request_id


class SignInForm(AuthenticationForm):
    """E-mail and password; whether they fit, and how often one may try, is `accounts.sign_in`'s to say."""

    request: HttpRequest

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "E-mail"
        self.fields["username"].widget = forms.EmailInput(
            attrs={"autocomplete": "username", "autofocus": True, "maxlength": 254}
        )

    def clean(self) -> dict[str, Any]:
        email, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if email and password:
            try:
                self.user_cache = sign_in.by_password(
                    email, password, request_id=request_id(self.request), address=address(self.request)
                )
            except (TooMany, Unauthenticated) as error:
                raise ValidationError(error.message, code=error.code) from error
        return self.cleaned_data


class DeviceForm(forms.Form):
    """What the token of a program shall be. What its program asked for stands there first, and may be narrowed."""

    default_renderer = Renderer
    name = forms.CharField(max_length=255, help_text="How it stands in the list of your tokens.")
    actions = forms.CharField(
        required=False,
        max_length=8000,
        label="Only these actions",
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=(
            "As in: agent:read agent:invoke. Left empty, it may do what you may, but for deciding approvals and "
            "revealing credentials, which are given by name alone: * approval:decide"
        ),
    )
    days = forms.IntegerField(
        min_value=1, max_value=LONGEST_LIFETIME.days, initial=LIFETIME.days, label="Days until it ends"
    )

    def __init__(self, *args: Any, ous: QuerySet[OU], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        named = {ou.path: ou for ou in ous}
        self.fields["ou"] = forms.TypedChoiceField(
            choices=[("", "Wherever you may"), *[(path, shown(path)) for path in named]],
            coerce=named.__getitem__,
            empty_value=None,
            required=False,
            label="Only in this OU, and below",
        )
        self.order_fields(("name", "actions", "ou", "days"))

    @property
    def chosen(self) -> Chosen:
        """What was chosen, once it is valid."""
        asked = self.cleaned_data
        actions = _spelled(asked["actions"].split()) or None
        return Chosen(asked["name"], actions, asked["ou"], timezone.now() + timedelta(days=asked["days"]))


def _spelled(actions: list[str]) -> list[str]:
    """Return the actions with `*` spelled as those of every noun."""
    if "*" not in actions:
        return actions
    patterns = {f"{action.partition(':')[0]}:*" for action in known_actions()}
    return sorted({pattern for pattern in patterns if expand([pattern])} | set(actions) - {"*"})
