"""Forms of sessions. Each is valid when its command is; the command is what it makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any  # a form's own arguments

from django import forms

from powerloom.kernel.ids import new_id
from powerloom.web.forms import SchemaForm
from sessions.chats import Partner
from sessions.commands import ConfirmToolUse, InvokeAgent, RenameSession, SendMessage

COMPOSER = {"rows": 2, "placeholder": "Write to the agent", "aria-label": "Message"}


FIRST = {"rows": 3, "autofocus": True, "placeholder": "Say what you need, for whom and where"}


class InvokeForm(SchemaForm[InvokeAgent]):
    """Start a session."""

    schema = InvokeAgent

    prompt = forms.CharField(widget=forms.Textarea(attrs={"rows": 6, "autofocus": True}))
    title = forms.CharField(required=False, help_text="Empty: the list shows the beginning of the prompt.")


class ChatForm(SchemaForm[InvokeAgent]):
    """Begin a conversation with one of the agents that one may talk with."""

    schema = InvokeAgent

    agent_id = forms.ChoiceField(label="Talk with")
    prompt = forms.CharField(label="Message", widget=forms.Textarea(attrs=FIRST))

    def __init__(self, *args: Any, partners: Sequence[Partner], **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["agent_id"]
        assert isinstance(field, forms.ChoiceField), "declared above"
        field.choices = [(str(one.id), f"{one.name} in {one.ou_path}") for one in partners]


class MessageForm(SchemaForm[SendMessage]):
    """Write to the agent."""

    schema = SendMessage

    text = forms.CharField(label="", widget=forms.Textarea(attrs=COMPOSER))
    # Minted with the form, so that a form sent twice is one message.
    key = forms.CharField(initial=lambda: str(new_id()), widget=forms.HiddenInput)


class RenameForm(SchemaForm[RenameSession]):
    """Give the session another title."""

    schema = RenameSession

    title = forms.CharField()


class ConfirmForm(SchemaForm[ConfirmToolUse]):
    """Say yes or no to a tool call."""

    schema = ConfirmToolUse

    tool_use_id = forms.CharField()
    result = forms.ChoiceField(choices=[("allow", "Allow"), ("deny", "Deny")])
