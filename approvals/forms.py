"""Forms of approvals. Each is valid when its command is; the command is what it makes."""

from __future__ import annotations

from django import forms

from approvals.commands import DecideRequest
from powerloom.web.forms import SchemaForm


class DecideForm(SchemaForm[DecideRequest]):
    """Say yes or no, and why."""

    schema = DecideRequest

    comment = forms.CharField(
        required=False,
        label="Reason",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Kept with the decision; whoever asked reads it.",
    )
    verdict = forms.ChoiceField(choices=[("approve", "Approve"), ("reject", "Reject")], widget=forms.HiddenInput)
