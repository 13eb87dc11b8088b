"""Forms of agents: one page declares one, the same fields change it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar  # Any: cleaned form values, a spec as JSON
from uuid import UUID

from django import forms
from pydantic import BaseModel

from accounts.models import Principal, PrincipalKind
from accounts.places import PlaceField, Places
from accounts.queries import principal_named
from agents.commands import CreateAgent
from agents.models import AgentKind
from agents.spec import MAX_TURN_SECONDS, AgentChanges, Tools
from powerloom.kernel.errors import NotFound
from powerloom.kernel.refs import Actor
from powerloom.web.forms import SchemaForm

S = TypeVar("S", bound=BaseModel)

EFFORTS = [
    ("", "As the model has it"),
    *((word, word.capitalize()) for word in ("low", "medium", "high", "xhigh", "max")),
]
SPEEDS = [("", "As the model has it"), ("standard", "Standard"), ("fast", "Fast")]
SETTINGS = [("always_allow", "On"), ("always_ask", "On, asks each time"), ("off", "Off")]
TOOL = "tool_"
PLAIN = {"autocomplete": "off", "spellcheck": "false"}


class MetadataField(forms.CharField):
    """Pairs, one a line: `key = value`."""

    def __init__(self) -> None:
        super().__init__(
            required=False,
            help_text="One pair a line, as team = payments.",
            widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        )

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(f"{key} = {text}" for key, text in value.items()) if isinstance(value, dict) else value

    def to_python(self, value: Any) -> Any:
        pairs: dict[str, str] = {}
        for line in filter(str.strip, str(value or "").splitlines()):
            key, separator, text = line.partition("=")
            if not separator:
                raise forms.ValidationError(f"A pair is written key = value; this is not: {line.strip()}")
            if key.strip() in pairs:
                raise forms.ValidationError(f"{key.strip()} is there twice.")
            pairs[key.strip()] = text.strip()
        return pairs

    def validate(self, value: Any) -> None:
        """What pairs may be is the spec's to say."""

    def run_validators(self, value: Any) -> None:
        """As `validate`."""


class AgentForm(SchemaForm[S]):
    """The fields that say what an agent should be; a form of its own adds who and where it is."""

    display_name = forms.CharField(max_length=255)
    description = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))
    model = forms.CharField(max_length=256, help_text="As claude-sonnet-4-6.", widget=forms.TextInput(attrs=PLAIN))
    effort = forms.ChoiceField(required=False, choices=EFFORTS)
    speed = forms.ChoiceField(required=False, choices=SPEEDS)
    system_prompt = forms.CharField(strip=False, widget=forms.Textarea(attrs={"rows": 14, "spellcheck": "false"}))
    max_duration = forms.IntegerField(
        label="Longest turn",
        required=False,
        min_value=1,
        max_value=MAX_TURN_SECONDS,
        help_text=f"In seconds, at most {MAX_TURN_SECONDS}; empty: that.",
    )
    metadata = MetadataField()

    def __init__(self, *args: Any, spec: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        self.spec = dict(spec or {})
        kwargs["initial"] = _as_fields(self.spec) | dict(kwargs.get("initial") or {})
        super().__init__(*args, **kwargs)
        for name in Tools.model_fields:
            self.fields[TOOL + name] = forms.ChoiceField(
                label=name, choices=SETTINGS, initial=self.initial.get(TOOL + name, "always_allow")
            )

    @property
    def tool_fields(self) -> list[forms.BoundField]:
        return [self[TOOL + name] for name in Tools.model_fields]

    def said(self) -> dict[str, Any]:
        """Return what the fields say of the agent, as far as they are right."""
        cleaned = self.cleaned_data
        return {
            "display_name": cleaned.get("display_name", ""),
            "description": cleaned.get("description") or None,
            "model": self._model(cleaned),
            "system_prompt": self._prompt(cleaned),
            "tools": {name: _setting(cleaned.get(TOOL + name, "always_allow")) for name in Tools.model_fields},
            "metadata": cleaned.get("metadata") or {},
            "max_duration": cleaned.get("max_duration"),
        }

    def _model(self, cleaned: Mapping[str, Any]) -> Any:
        """Return the model as it was posted: a bare name unless something is said beside it, or was before."""
        named = {name: cleaned[name] for name in ("speed", "effort") if cleaned.get(name)}
        had_more = isinstance(self.spec.get("model"), dict)
        return {"id": cleaned.get("model", ""), **named} if named or had_more else cleaned.get("model", "")

    def _prompt(self, cleaned: Mapping[str, Any]) -> str:
        """Return the prompt with the ends of lines that it had: a browser sends others than it was given."""
        typed = str(cleaned.get("system_prompt", "")).replace("\r\n", "\n")
        before = str(self.spec.get("system_prompt", ""))
        return before if typed == before.replace("\r\n", "\n") else typed

    def _place(self, loc: tuple[int | str, ...]) -> str | None:
        if loc[:1] == ("tools",) and len(loc) > 1:
            return TOOL + str(loc[1])
        if loc[:1] == ("owner_principal_id",):
            return "owner"
        return super()._place(loc)


class NewAgentForm(AgentForm[CreateAgent]):
    """Declare an agent."""

    schema = CreateAgent

    name = forms.CharField(
        max_length=63,
        help_text="Lower-case letters, digits and dashes. It never changes.",
        widget=forms.TextInput(attrs=PLAIN | {"autofocus": True}),
    )
    agent_kind = forms.ChoiceField(
        label="Acts with",
        choices=[(AgentKind.USER, "its owner's rights"), (AgentKind.SERVICE, "its own bindings (a service agent)")],
    )
    owner = forms.CharField(
        help_text="A user or a group, as user:bob@acme.example.",
        widget=forms.TextInput(attrs=PLAIN | {"list": "owners"}),
    )

    def __init__(self, *args: Any, actor: Actor, places: Places, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.actor = actor
        self.principal: Principal | None = None
        self.places = places
        self.fields["ou_id"] = PlaceField(places)
        self.fields["owner"].initial = actor.ref

    def clean_owner(self) -> str:
        ref: str = self.cleaned_data["owner"]
        try:
            found = principal_named(self.actor, ref)
        except NotFound:
            raise forms.ValidationError(f"There is nobody called {ref} here.") from None
        if found.kind not in {PrincipalKind.USER, PrincipalKind.GROUP}:
            raise forms.ValidationError("An agent's owner is a user or a group.")
        self.principal = found
        return found.ref

    def payload(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        assert self.principal is not None, "the schema is asked once every field is right"
        place: UUID = cleaned["ou_id"]
        who = {"name": cleaned["name"], "ou_id": place, "agent_kind": cleaned["agent_kind"]}
        return self.given | self.said() | who | {"owner_principal_id": self.principal.id}


class EditAgentForm(AgentForm[AgentChanges]):
    """Change what an agent should be. `generation` is the one that was seen: another makes this stale."""

    schema = AgentChanges

    generation = forms.IntegerField(widget=forms.HiddenInput)

    def payload(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        """Name only what differs, so that a change made elsewhere meanwhile is not undone unseen."""
        said = self.said()
        gone = dict.fromkeys(self.spec.get("metadata", {}).keys() - said["metadata"].keys())
        tools = {name: tool for name, tool in said["tools"].items() if tool != self.spec["tools"].get(name)}
        changed = {name: value for name, value in said.items() if value != self.spec.get(name) and name != "tools"}
        if "metadata" in changed:
            changed["metadata"] = said["metadata"] | gone
        return changed | ({"tools": tools} if tools else {})


def _as_fields(spec: Mapping[str, Any]) -> dict[str, Any]:
    if not spec:
        return {}
    model = spec["model"] if isinstance(spec["model"], dict) else {"id": spec["model"]}
    tools = {TOOL + name: tool["permission"] if tool["enabled"] else "off" for name, tool in spec["tools"].items()}
    plain = {
        name: spec.get(name) for name in ("display_name", "description", "system_prompt", "max_duration", "metadata")
    }
    return plain | tools | {"model": model["id"], "effort": model.get("effort"), "speed": model.get("speed")}


def _setting(word: str) -> dict[str, Any]:
    return {"enabled": word != "off", "permission": "always_allow" if word == "off" else word}
