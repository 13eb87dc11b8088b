"""Forms of policies: make, change, switch off, try."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar  # Any: cleaned form values and JSON
from uuid import UUID

from django import forms
from pydantic import ValidationError

from accounts.queries import groups_visible_to, ous_visible_to, roles_visible_to
from accounts.roles import known_actions
from approvals.commands import CreatePolicy, SwitchOffPolicy, UpdatePolicy
from approvals.models import ApprovalPolicy
from approvals.trials import Sample
from powerloom.kernel.refs import Actor
from powerloom.web.forms import SchemaForm, choices_of

UNITS = (("86400", "days"), ("3600", "hours"), ("60", "minutes"))
EXAMPLE = '{"resource": {"model": "claude-opus-4-1"}}'
PLAIN = ("description", "action_pattern", "condition", "quorum", "justification_required", "is_on")


class PolicyForm(SchemaForm[Any]):
    """What can be said of a new policy and of one that is there: the approver as one choice, the time in a unit."""

    places: ClassVar[dict[str, str]] = {  # fields of the schema to fields of the form
        "scope_ou_id": "scope",
        "approver_role_id": "approver",
        "approver_group_id": "approver",
        "ttl_seconds": "time",
    }

    description = forms.CharField(required=False, max_length=1000)
    action_pattern = forms.CharField(
        max_length=100,
        label="Actions",
        widget=forms.TextInput(attrs={"list": "actions", "autocomplete": "off", "spellcheck": "false"}),
        help_text="One action (agent:create), all of a noun (agent:*), or all (*).",
    )
    condition = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text=(
            "CEL over action, command, resource, before, target and actor; empty holds every one. What it cannot "
            'decide counts as true. Example: resource.model.startsWith("claude-opus")'
        ),
    )
    approver = forms.ChoiceField(
        label="Who decides", help_text="Holders of a role on the scope, or members of a group."
    )
    quorum = forms.IntegerField(min_value=1, max_value=20, initial=1, label="How many must say yes")
    time = forms.IntegerField(min_value=1, initial=7, label="Time to decide")
    unit = forms.ChoiceField(choices=UNITS, label="Unit")
    justification_required = forms.BooleanField(required=False, label="Who asks must say why")
    is_on = forms.BooleanField(required=False, initial=True, label="On: it holds what matches")

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.actor = actor
        choices_of(self, "approver").choices = _approvers(actor)

    def said(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        """Return what can be said of a new policy and of one that is there, as their schemas name it."""
        kind, _, id_ = cleaned["approver"].partition(":")
        seconds = cleaned["time"] * int(cleaned["unit"])
        return {name: cleaned[name] for name in PLAIN} | {f"approver_{kind}_id": id_, "ttl_seconds": seconds}

    def _place(self, loc: tuple[int | str, ...]) -> str | None:
        name = str(loc[-1]) if loc else ""
        place = self.places.get(name, name)
        return place if place in self.fields else None


class NewPolicyForm(PolicyForm):
    """A new policy; its scope is written as a path."""

    schema = CreatePolicy

    name = forms.CharField(max_length=63, widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}))
    scope = forms.CharField(
        max_length=2000,
        label="Scope",
        widget=forms.TextInput(attrs={"list": "ou-paths", "autocomplete": "off", "spellcheck": "false"}),
        help_text="The path of an OU; the policy is for it and all below.",
    )

    def clean_scope(self) -> UUID:
        path = f"{self.cleaned_data['scope'].rstrip('/')}/"
        found = ous_visible_to(self.actor).filter(path=path).first()
        if found is None:
            raise forms.ValidationError("There is no OU of this path. Paths begin with the organization: /acme/sales.")
        return found.pk

    def payload(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        return self.given | self.said(cleaned) | {"name": cleaned["name"], "scope_ou_id": cleaned["scope"]}


class ChangePolicyForm(PolicyForm):
    """The change of a policy, as it was when its form was opened. Its name and scope never change."""

    schema = UpdatePolicy

    def payload(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        return self.given | {"changes": self.said(cleaned)}


class SwitchOffForm(SchemaForm[SwitchOffPolicy]):
    """Why a policy is to hold nothing more."""

    schema = SwitchOffPolicy

    reason = forms.CharField(max_length=1000, help_text="It stands in the audit trail.")


class TryForm(forms.Form):
    """A policy, saved or as it stands in its form, and a made-up change to try it on."""

    policy_id = forms.UUIDField(required=False)
    scope = forms.CharField(required=False, max_length=2000)
    action_pattern = forms.CharField(required=False, max_length=100)
    condition = forms.CharField(required=False)
    sample_action = forms.CharField(
        required=False,
        label="Action",
        widget=forms.TextInput(attrs={"list": "actions", "autocomplete": "off", "spellcheck": "false"}),
    )
    sample_path = forms.CharField(
        required=False,
        label="Where",
        widget=forms.TextInput(attrs={"list": "ou-paths", "autocomplete": "off", "spellcheck": "false"}),
        help_text="Empty: at the scope itself.",
    )
    sample = forms.CharField(
        required=False,
        label="Payload",
        widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false"}),
        help_text="JSON with any of command, resource, before, target and actor.",
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        cleaned["made_up"] = self._made_up(cleaned) if cleaned.get("sample_action") else None
        return cleaned

    def _made_up(self, cleaned: dict[str, Any]) -> Sample | None:
        try:
            payload = json.loads(cleaned.get("sample") or "{}")
            place = {"ou_path": cleaned["sample_path"]} if cleaned.get("sample_path") else {}
            return Sample.model_validate(payload | place | {"action": cleaned["sample_action"]})
        except ValidationError as error:
            for problem in error.errors(include_url=False):
                name = str(problem["loc"][0])
                field = {"action": "sample_action", "ou_path": "sample_path"}.get(name, "sample")
                self.add_error(field, problem["msg"] if field != "sample" else f"{name}: {problem['msg']}")
        except (ValueError, TypeError):
            self.add_error("sample", "This is not a JSON object. Write one, or leave it empty.")
        return None


def known_patterns() -> list[str]:
    """Return every pattern that matches something: all, all of a noun, one action."""
    actions = sorted(known_actions())
    nouns = sorted({f"{action.partition(':')[0]}:*" for action in actions})
    return ["*", *nouns, *actions]


def _approvers(actor: Actor) -> list[tuple[str, Any]]:
    def group(kind: str, rows: Any, word: Callable[[Any], str]) -> list[tuple[str, str]]:
        return sorted(((f"{kind}:{row.pk}", word(row)) for row in rows), key=lambda choice: choice[1])

    roles = group("role", roles_visible_to(actor), lambda role: role.name)
    groups = group("group", groups_visible_to(actor), lambda one: one.ref)
    return [("", "Choose"), ("Roles", roles), *([("Groups", groups)] if groups else [])]


def as_written(policy: ApprovalPolicy) -> dict[str, Any]:
    """Return what the form of a policy begins with."""
    unit = next((int(size) for size, _ in UNITS if policy.ttl_seconds % int(size) == 0), 60)
    kind = "role" if policy.approver_role_id else "group"
    return {
        "description": policy.description,
        "action_pattern": policy.action_pattern,
        "condition": policy.condition,
        "approver": f"{kind}:{policy.approver_role_id or policy.approver_group_id}",
        "quorum": policy.quorum,
        "time": max(1, policy.ttl_seconds // unit),
        "unit": str(unit),
        "justification_required": policy.justification_required,
        "is_on": policy.is_on,
    }
