"""Forms of the console whose rules are a pydantic model's: the same schema that the API and the commands use.

The Django form says how a field is drawn; the schema says what is right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar  # Any: cleaned form values

from django import forms
from django.forms.renderers import TemplatesSetting
from pydantic import BaseModel, ValidationError

from powerloom.kernel.errors import JustificationRequired, PowerloomError

S = TypeVar("S", bound=BaseModel)

JUSTIFICATION = "justification"  # the field of any form in which a person says why; see `powerloom.web.pages`


class Renderer(TemplatesSetting):
    """Draws every form with the parts of the look."""

    form_template_name = "parts/form.html"
    field_template_name = "parts/field.html"


class Suggested(forms.TextInput):
    """A text field that offers values; others may be typed."""

    template_name = "parts/suggested.html"

    def __init__(self, attrs: dict[str, Any] | None = None, options: Sequence[str] = ()) -> None:
        super().__init__({"autocomplete": "off", "spellcheck": "false"} | (attrs or {}))
        self.options = list(options)

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        list_id = f"options-{name}"
        context = super().get_context(name, value, {**(attrs or {}), "list": list_id})
        return context | {"options": self.options, "list_id": list_id}


class ConsoleForm(forms.Form):
    """Base of every form of the console: it can be shown again with what was refused."""

    required_css_class = "required"

    def refuse(self, error: PowerloomError) -> None:
        """Show a refusal beside its field, else above the form; what was typed stays. Where a policy wants to know
        why, the form asks it from now on.
        """
        if isinstance(error, JustificationRequired):
            self.fields[JUSTIFICATION] = forms.CharField(
                label="Why", help_text="A policy wants to know; whoever decides reads it.", max_length=2000
            )
        self.add_error(self._place((str(error.detail.get("field", "")),)), error.message)

    def _place(self, loc: tuple[int | str, ...]) -> str | None:
        return str(loc[0]) if loc and str(loc[0]) in self.fields else None


def choices_of(form: forms.Form, name: str) -> forms.ChoiceField:
    """Return a form's field that offers choices, to read or to set them."""
    field = form.fields[name]
    assert isinstance(field, forms.ChoiceField), f"{name} offers no choices"
    return field


class TypedName(ConsoleForm):
    """Asks for the name of what is about to go for good, letter by letter."""

    typed = forms.CharField(widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}))

    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.name = name
        self.fields["typed"].label = f"Type {name} to go on"

    def clean_typed(self) -> str:
        typed: str = self.cleaned_data["typed"]
        if typed != self.name:
            raise forms.ValidationError(f"This is not its name. Type {self.name}, or go back.")
        return typed


class SchemaForm(ConsoleForm, Generic[S]):
    """A form that is valid when its schema says so; then `value` is the schema's instance.

    The schema is mostly a command: `given` are its fields that the URL decides, not the person.
    """

    schema: type[S]
    value: S

    def __init__(self, *args: Any, given: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.given = dict(given or {})

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                self.value = self.schema.model_validate(self.payload(cleaned))
            except ValidationError as error:
                for problem in error.errors(include_url=False):
                    self.add_error(self._place(problem["loc"]), problem["msg"].removeprefix("Value error, "))
        return cleaned

    def payload(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        """Return what the schema is asked about: fields left empty are left out."""
        return self.given | {name: value for name, value in cleaned.items() if value not in ("", None)}
