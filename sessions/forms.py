"""Forms of sessions. Each is valid when its command is; the command is what it makes."""

from __future__ import annotations

from django import forms

from powerloom.kernel.ids import new_id
from powerloom.web.forms import SchemaForm
from sessions.commands import ConfirmToolUse, InvokeAgent, RenameSession, SendMessage

COMPOSER = {"rows": 2, "placeholder": "Write to the agent", "aria-label": "Message"}


class InvokeForm(SchemaForm[InvokeAgent]):
    """Start a session."""

    schema = InvokeAgent

    prompt = forms.CharField(widget=forms.Textarea(attrs={"rows": 6, "autofocus": True}))
    title = forms.CharField(required=False, help_text="Empty: the list shows the beginning of the prompt.")


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
