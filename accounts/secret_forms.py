"""Forms of secrets. A value goes in and comes back in no form."""

from __future__ import annotations

from typing import Any  # cleaned form values

from django import forms

from accounts.places import PlaceField, Places
from powerloom.web.forms import ConsoleForm

LONGEST_VALUE = 64 * 1024
KINDS = ["opaque", "postgres_url", "slack_token"]  # what is often meant; any other word will do


class ValueForm(ConsoleForm):
    """A new value."""

    value = forms.CharField(
        max_length=LONGEST_VALUE,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}, render_value=False),
        help_text="It is sealed at once and never shown again, to nobody.",
    )


class NewSecretForm(ValueForm):
    """Keep a secret."""

    name = forms.RegexField(
        regex=r"^[a-z0-9][a-z0-9_.-]{0,62}$",
        help_text="Lower-case letters, digits, dots, dashes and underscores. Deployments name it so.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autofocus": True}),
        error_messages={"invalid": "A name has lower-case letters, digits, dots, dashes and underscores; at most 63."},
    )
    kind = forms.RegexField(
        regex=r"^[a-z][a-z0-9_]{0,39}$",
        initial="opaque",
        help_text="What it is for: a deployment takes only a secret of the kind that it needs.",
        widget=forms.TextInput(attrs={"list": "kinds", "autocomplete": "off"}),
        error_messages={"invalid": "A kind has lower-case letters, digits and underscores, as slack_token."},
    )
    description = forms.CharField(required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))

    def __init__(self, *args: Any, places: Places, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["ou_id"] = PlaceField(places)
        self.order_fields(["ou_id", "name", "kind", "description", "value"])
