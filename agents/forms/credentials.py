"""Forms of credentials. A value goes in and is never shown again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any  # cleaned form values
from uuid import UUID

from django import forms

from accounts.law import shown
from agents.minting import LONGEST_TOKEN, fits_a_header
from agents.models import Agent, MCPServer
from powerloom.web.forms import ConsoleForm


class ValueForm(ConsoleForm):
    """A value: the foreign server's own token, or one that is minted here."""

    token = forms.CharField(
        required=False,
        max_length=LONGEST_TOKEN,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}, render_value=False),
        help_text="A foreign server's own token; empty: a bearer is minted here. It is never shown again.",
    )
    expires_at = forms.DateTimeField(
        label="Expires",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M"],
        help_text="In UTC; empty: it does not.",
    )

    def clean_token(self) -> str | None:
        token: str = self.cleaned_data["token"]
        if token and not fits_a_header(token):
            raise forms.ValidationError("A token is made of visible ASCII characters, without spaces.")
        return token or None


class NewCredentialForm(ValueForm):
    """Give an agent a credential for a server."""

    def __init__(self, *args: Any, agents: Iterable[Agent], servers: Iterable[MCPServer], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["agent"] = _choice("Agent", agents)
        self.fields["server"] = _choice("MCP server", servers)
        self.order_fields(["agent", "server"])


def _choice(label: str, rows: Iterable[Agent | MCPServer]) -> forms.TypedChoiceField:
    choices = [(str(row.id), f"{row.display_name} ({shown(row.ou.path)})") for row in rows]
    return forms.TypedChoiceField(label=label, choices=choices, coerce=UUID)
