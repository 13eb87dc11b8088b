"""Forms of MCP servers and deployments."""

from __future__ import annotations

from typing import Any  # cleaned form values
from uuid import UUID

from django import forms

from accounts.places import PlaceField, Places
from agents.commands.registration import ServerFields
from agents.commands.servers import ServerChanges
from agents.mcp.template import Template
from powerloom.web.forms import ConsoleForm, SchemaForm
from powerloom.web.schemas import JsonSchemaForm

PLAIN = {"autocomplete": "off", "spellcheck": "false"}
FIRST = {**PLAIN, "autofocus": True}
NAME_HELP = "Lower-case letters, digits and dashes. It never changes."


class TokenField(forms.CharField):
    """A token that goes in and is never shown again."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.PasswordInput(attrs={"autocomplete": "off"}, render_value=False)
        super().__init__(required=False, widget=widget, **kwargs)


class NewServerForm(SchemaForm[ServerFields]):
    """Register a server of one's own."""

    schema = ServerFields

    name = forms.CharField(max_length=63, help_text=NAME_HELP, widget=forms.TextInput(attrs=FIRST))
    display_name = forms.CharField(max_length=255)
    description = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))
    url = forms.CharField(label="URL", max_length=2048, help_text="Its MCP endpoint, as https://tools.example/mcp.")
    token = TokenField(help_text="Shown to the server during this handshake and kept nowhere.")
    skip_validation = forms.BooleanField(
        label="Register without talking to it now", required=False, help_text="It is looked at within a minute."
    )

    def __init__(self, *args: Any, places: Places, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["ou_id"] = PlaceField(places)
        self.order_fields(["ou_id", "name"])

    def payload(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        said = {name: value for name, value in cleaned.items() if name not in {"token", "skip_validation"}}
        return super().payload(said)


class ServerForm(SchemaForm[ServerChanges]):
    """Change how a server is shown, and of one's own where it is."""

    schema = ServerChanges

    display_name = forms.CharField(max_length=255)
    description = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 3}))
    url = forms.CharField(
        label="URL",
        max_length=2048,
        help_text="At another address its tools are off until they are seen again as they were pinned; at another "
        "origin its credentials are void.",
    )

    def __init__(self, *args: Any, is_managed: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if is_managed:
            del self.fields["url"]

    def payload(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        """Name only what differs: another URL has consequences, the same one has none."""
        said = cleaned | {"description": cleaned.get("description") or None}
        now = {**self.initial, "description": self.initial.get("description") or None}
        return {name: value for name, value in said.items() if value != now.get(name)}


class ProbeForm(ConsoleForm):
    """Have a server looked at."""

    token = TokenField(help_text="Shown to the server during this look and kept nowhere; empty: one that it knows.")


class DeployForm(JsonSchemaForm):
    """Deploy a template: who and where it is, and its config and policy."""

    name = forms.CharField(max_length=63, help_text=NAME_HELP, widget=forms.TextInput(attrs=FIRST))
    display_name = forms.CharField(max_length=255)

    def __init__(self, *args: Any, places: Places, template: Template[Any, Any], **kwargs: Any) -> None:
        schemas = {"config": template.config.model_json_schema(), "policy": template.policy.model_json_schema()}
        super().__init__(*args, schemas=schemas, choices=tool_choices(template), **kwargs)
        self.fields["ou_id"] = PlaceField(places)

    def place(self) -> UUID:
        """Return the OU that was chosen."""
        chosen: UUID = self.cleaned_data["ou_id"]
        return chosen

    def drawn_config(self) -> list[forms.BoundField]:
        return self.drawn("config")

    def drawn_policy(self) -> list[forms.BoundField]:
        return self.drawn("policy")


def tool_choices(template: Template[Any, Any]) -> dict[str, list[str]]:
    """Return what the lists of tools in a policy may name."""
    names = [tool.name for tool in template.tools]
    return {"allowed_tools": names, "denied_tools": names}
