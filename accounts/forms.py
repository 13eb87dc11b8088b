"""Forms of accounts."""

from __future__ import annotations

from typing import Any  # cleaned form values

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from accounts import sign_in
from powerloom.kernel.errors import TooMany, Unauthenticated
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
