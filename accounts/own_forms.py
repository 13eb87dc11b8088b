"""Forms of one's own settings: the password, and tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any  # Any: cleaned form values
from uuid import UUID

from django import forms
from django.utils import timezone
from pydantic import BaseModel, Field

from accounts.commands.tokens import CreateToken, TokenName
from accounts.fields import ActorForm, OUField
from accounts.organization_forms import ActionsField
from accounts.sign_in import LONGEST_PASSWORD
from powerloom.web.forms import SchemaForm

LIFETIMES = [(7, "A week"), (30, "30 days"), (90, "90 days"), (365, "A year")]

Password = Annotated[str, Field(min_length=1, max_length=LONGEST_PASSWORD)]


def _secret(autocomplete: str) -> forms.PasswordInput:
    return forms.PasswordInput(attrs={"autocomplete": autocomplete})


class NewPassword(BaseModel):
    """The password as it is, and as it shall be."""

    current_password: Password
    new_password: Password


class PasswordForm(SchemaForm[NewPassword]):
    """Change one's own password."""

    schema = NewPassword

    current_password = forms.CharField(strip=False, widget=_secret("current-password"))
    new_password = forms.CharField(strip=False, widget=_secret("new-password"))
    again = forms.CharField(strip=False, label="New password, again", widget=_secret("new-password"))

    def clean_again(self) -> str:
        again: str = self.cleaned_data["again"]
        if again != self.cleaned_data.get("new_password"):
            raise forms.ValidationError("This is not the same password.")
        return again


class TokenFields(BaseModel):
    """What one says of a new token."""

    name: TokenName
    days: int
    actions: tuple[str, ...] | None = None
    ou_id: UUID | None = None

    def command(self, **minted: Any) -> CreateToken:
        """Return the command that makes it, with what was minted for it."""
        ends = timezone.now() + timedelta(days=self.days)
        return CreateToken(name=self.name, expires_at=ends, actions=self.actions, ou_id=self.ou_id, **minted)


class TokenForm(ActorForm[TokenFields]):
    """Make a token of oneself."""

    schema = TokenFields

    name = forms.CharField(max_length=255, help_text="What it is for, as laptop or CI.")
    days = forms.TypedChoiceField(label="Good for", choices=LIFETIMES, coerce=int, initial=90)
    ou_id = OUField(required=False, label="Only in", help_text="Empty: wherever you may act.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["actions"] = ActionsField(
            required=False,
            label="Only for",
            help_text="None chosen: all that you may, but approval:decide and credential:reveal, which need naming.",
        )

    def payload(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        return super().payload(cleaned | {"actions": cleaned.get("actions") or None})
