"""Forms of skills."""

from __future__ import annotations

from typing import Any  # cleaned form values

from django import forms

from accounts.places import PlaceField, Places
from agents.commands import CreateSkill
from agents.commands.skills import SkillChanges
from agents.models import SkillType
from powerloom.web.forms import ConsoleForm, SchemaForm

NAME_HELP = "Lower-case letters, digits and dashes. It is how manifests and people address it, and never changes."


class NewSkillForm(SchemaForm[CreateSkill]):
    """Name a skill."""

    schema = CreateSkill

    name = forms.CharField(max_length=63, help_text=NAME_HELP, widget=forms.TextInput(attrs={"autofocus": True}))
    display_name = forms.CharField(max_length=255)
    description = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))
    skill_type = forms.ChoiceField(
        label="Type",
        choices=[
            (SkillType.ARCHIVE, "Archive: a folder with a SKILL.md, uploaded version by version"),
            (SkillType.TOOL_DEFINITION, "Tool definition: a tool that the session's client answers"),
        ],
        initial=SkillType.ARCHIVE,
    )
    tool_schema = forms.JSONField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false"}),
        help_text='Of a tool definition only: {"name": …, "description": …, "input_schema": {"type": "object", …}}.',
    )

    def __init__(self, *args: Any, places: Places, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["ou_id"] = PlaceField(places)
        self.order_fields(["ou_id", "name"])


class SkillForm(SchemaForm[SkillChanges]):
    """Change how a skill is shown."""

    schema = SkillChanges

    display_name = forms.CharField(max_length=255)
    description = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 3}))

    def payload(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        return super().payload(cleaned) | {"description": cleaned.get("description") or None}


class UploadForm(ConsoleForm):
    """Upload a version."""

    file = forms.FileField(
        label="Archive",
        help_text="A zip or tar.gz with a SKILL.md at its root, or in its one top folder.",
        widget=forms.FileInput(attrs={"accept": ".zip,.tar.gz,.tgz"}),
    )


class GrantForm(ConsoleForm):
    """Let a principal use one skill."""

    principal = forms.CharField(
        help_text="As user:bob@acme.example, group:/acme/leads, agent:/acme/reviewer or ou:/acme/engineering.",
        widget=forms.TextInput(attrs={"list": "principals", "autocomplete": "off"}),
    )
