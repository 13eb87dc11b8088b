"""Forms of what agents are given: skills and MCP servers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any  # settings of single tools are JSON
from uuid import UUID

from django import forms

from accounts.law import shown
from agents.models import MCPServer, Skill
from agents.spec import AttachedServer, ServerTool
from powerloom.web.forms import ConsoleForm

PREBUILT = [("pptx", "PowerPoint"), ("xlsx", "Excel"), ("docx", "Word"), ("pdf", "PDF")]
ANSWERS = [
    ("always_allow", "Always allow"),
    ("always_ask", "Always ask: somebody who may confirm says yes to each call"),
    ("four_eyes", "Four eyes: always ask, and not whoever invoked the agent"),
]
TOOL = "tool_"
OF_ONE = [("", "As the rest"), ("always_allow", "Always allow"), ("always_ask", "Always ask"), ("off", "Off")]


class AttachSkillForm(ConsoleForm):
    """Give an agent a skill."""

    skill = forms.ChoiceField()
    version = forms.IntegerField(required=False, min_value=1, help_text="Empty: it follows the current version.")

    def __init__(self, *args: Any, skills: Iterable[Skill], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        ours = [(str(skill.id), f"{skill.display_name} ({shown(skill.ou.path)})") for skill in skills]
        groups = [("Ours", ours), ("Anthropic's", PREBUILT)]
        self.fields["skill"] = forms.ChoiceField(choices=[group for group in groups if group[1]])
        self.order_fields(["skill", "version"])


class AttachServerForm(ConsoleForm):
    """Give an agent an MCP server."""

    server = forms.TypedChoiceField(label="MCP server", coerce=UUID)
    permission = forms.ChoiceField(label="Its calls", choices=ANSWERS)

    def __init__(self, *args: Any, servers: Iterable[MCPServer], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(str(one.id), f"{one.display_name} ({shown(one.ou.path)})") for one in servers]
        self.fields["server"] = forms.TypedChoiceField(label="MCP server", coerce=UUID, choices=choices)
        self.order_fields(["server", "permission"])

    def setting(self) -> AttachedServer:
        """Return the attachment; what it says of single tools stays as it is."""
        return AttachedServer(
            mcp_server_registration_id=self.cleaned_data["server"], **answered(self.cleaned_data["permission"])
        )


class ServerSettingsForm(ConsoleForm):
    """Which tools of an attached server are on, and who says yes to a call."""

    permission = forms.ChoiceField(label="Its calls", choices=ANSWERS)

    def __init__(self, *args: Any, tools: Sequence[str], attached: AttachedServer, **kwargs: Any) -> None:
        kwargs["initial"] = {"permission": "four_eyes" if attached.four_eyes else attached.permission}
        super().__init__(*args, **kwargs)
        self.attached = attached
        self.names = sorted({*tools, *attached.tools})
        for name in self.names:
            self.fields[TOOL + name] = forms.ChoiceField(
                label=name, required=False, choices=OF_ONE, initial=_word(attached.tools.get(name))
            )

    @property
    def tool_fields(self) -> list[forms.BoundField]:
        return [self[TOOL + name] for name in self.names]

    def setting(self) -> AttachedServer:
        """Return the attachment with all that the form says."""
        words = {name: self.cleaned_data.get(TOOL + name, "") for name in self.names}
        tools = {name: _tool(word) for name, word in words.items() if word}
        return AttachedServer(
            mcp_server_registration_id=self.attached.mcp_server_registration_id,
            tools=tools,
            **answered(self.cleaned_data["permission"]),
        )


def answered(word: str) -> Mapping[str, Any]:
    """Return what a choice of who answers means for an attachment."""
    return {"permission": "always_ask" if word == "four_eyes" else word, "four_eyes": word == "four_eyes"}


def _word(tool: ServerTool | None) -> str:
    if tool is None:
        return ""
    return (tool.permission or "") if tool.enabled else "off"


def _tool(word: str) -> ServerTool:
    return ServerTool(enabled=False) if word == "off" else ServerTool(permission=word)
