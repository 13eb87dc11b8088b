"""Fields of a form from a JSON schema: a template's config and policy, the arguments of a tool.

What a field cannot draw (objects, lists of them) is written as JSON. The schema's own reader says what is right; here
it is only asked and given back. What is left empty is left out, so that the schema's default holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any  # JSON, and cleaned form values

from django import forms

from powerloom.kernel.errors import PowerloomError
from powerloom.web.forms import ConsoleForm

JSON = dict[str, Any]

LONG = 200  # characters from which a text gets several lines
PLAIN = {"spellcheck": "false", "autocomplete": "off"}
ALL, LISTED = "*all*", "*listed*"  # unlike anything that a list holds


class LinesField(forms.CharField):
    """A list of texts, one a line."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=forms.Textarea(attrs={"rows": 3, **PLAIN}), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in str(value or "").splitlines() if line.strip()]


class ListedWidget(forms.MultiWidget):
    """Whether everything is meant or only what is listed, and the list."""

    def __init__(self, label: str, inner: forms.Widget) -> None:
        choose = forms.Select(
            choices=[(ALL, "All"), (LISTED, "Only those listed")],
            attrs={"aria-label": f"{label}: all, or those listed"},
        )
        super().__init__({"which": choose, "list": inner})

    def decompress(self, value: Any) -> list[Any]:
        return [ALL, None] if value is None else [LISTED, value]


class ListedField(forms.MultiValueField):
    """A list, or null for everything: an empty list means nothing at all, so it must be told from no list."""

    def __init__(self, inner: forms.Field, label: str, **kwargs: Any) -> None:
        inner.widget.attrs["aria-label"] = label
        which = forms.ChoiceField(choices=[(ALL, ""), (LISTED, "")])
        super().__init__((which, inner), widget=ListedWidget(label, inner.widget), label=label, **kwargs)
        self.require_all_fields = False
        self.inner = inner

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, list) and len(value) == 2 and value[0] in {ALL, LISTED}:
            return [value[0], self.inner.prepare_value(value[1])]
        return None if value is None else self.widget.decompress(self.inner.prepare_value(value))

    def compress(self, data_list: list[Any]) -> Any:
        if not data_list or data_list[0] == ALL:
            return None
        return self.inner.clean(data_list[1]) if isinstance(data_list[1], str) else list(data_list[1])


class JsonSchemaForm(ConsoleForm):
    """Fields for the properties of some schemas, each under its prefix; `values_of` gives the JSON back.

    `values` are what stands there now. `choices` are the values that a list of texts may have, by the property's name.
    A property that ends in `_secret` names a secret; the page may offer some in the list `secrets`.
    """

    def __init__(
        self,
        *args: Any,
        schemas: Mapping[str, JSON],
        values: Mapping[str, JSON] | None = None,
        choices: Mapping[str, Sequence[str]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.schemas = schemas
        for prefix, schema in schemas.items():
            now = (values or {}).get(prefix, {})
            for name in schema.get("properties", {}):
                field = _field(name, schema, now, (choices or {}).get(name))
                self.fields[f"{prefix}.{name}"] = field

    def values_of(self, prefix: str) -> JSON:
        """Return what the fields of one schema say, without what is left to the schema's defaults."""
        schema, found = self.schemas[prefix], {}
        for name in schema.get("properties", {}):
            value, part = self.cleaned_data.get(f"{prefix}.{name}"), resolved(schema, name)
            default = part.get("default")
            is_empty = value == "" or (value is None and not part["nullable"])
            if name in schema.get("required", ()) or not (is_empty or value == default):
                found[name] = value
        return found

    def drawn(self, prefix: str) -> list[forms.BoundField]:
        """Return the fields of one schema, to be drawn together."""
        return [self[name] for name in self.fields if name.startswith(f"{prefix}.")]

    def refuse(self, error: PowerloomError) -> None:
        """Show every problem that the refusal names beside its field."""
        problems = error.detail.get("problems") or []
        for problem in problems:
            place = self._place((problem["field"],))
            text = problem["problem"] if place else f"{problem['field']}: {problem['problem']}"
            self.add_error(place, text.removeprefix("Value error, "))
        if not problems:
            super().refuse(error)

    def _place(self, loc: tuple[int | str, ...]) -> str | None:
        """`config_json.root.0` is said of the field `config.root`."""
        prefix, _, rest = str(loc[0] if loc else "").partition("_json.")
        name = f"{prefix}.{rest.partition('.')[0]}"
        return name if rest and name in self.fields else super()._place(loc)


def resolved(schema: JSON, name: str) -> JSON:
    """Return one property with what it refers to in its place, and whether it may be null."""
    part = _followed(schema, schema["properties"][name])
    branches = [_followed(schema, one) for one in part.get("anyOf", ())]
    real = [one for one in branches if one.get("type") != "null"]
    merged = part | (real[0] if len(real) == 1 else {})
    return merged | {"nullable": len(real) < len(branches), "open": len(real) > 1}


def _followed(schema: JSON, part: JSON) -> JSON:
    reference = str(part.get("$ref", ""))
    if not reference.startswith("#/$defs/"):
        return part
    found: JSON = schema.get("$defs", {}).get(reference.removeprefix("#/$defs/"), {})
    return found | {key: value for key, value in part.items() if key != "$ref"}


def _field(name: str, schema: JSON, now: JSON, choices: Sequence[str] | None) -> forms.Field:
    part = resolved(schema, name)
    required = name in schema.get("required", ())
    said: dict[str, Any] = {
        "label": name,
        "required": required,
        "initial": now.get(name, part.get("default")),
        "help_text": part.get("description", ""),
    }
    kind = None if part["open"] else part.get("type")
    if "enum" in part:
        return _choice({str(word): word for word in part["enum"]}, said)
    if kind == "boolean":
        return _flag(part, said)
    if kind in {"integer", "number"}:
        made = forms.IntegerField if kind == "integer" else forms.FloatField
        return made(min_value=part.get("minimum"), max_value=part.get("maximum"), **said)
    if kind == "string":
        is_long = part.get("maxLength", 0) > LONG and not name.endswith(("path", "channel"))
        suggestions = {"list": "secrets"} if name.endswith("_secret") else {}
        widget = forms.Textarea(attrs={"rows": 4}) if is_long else forms.TextInput(attrs={**PLAIN, **suggestions})
        return forms.CharField(widget=widget, strip=False, **said)
    if kind == "array" and part.get("items", {}).get("type") == "string":
        return _list(part, said, choices)
    return forms.JSONField(widget=forms.Textarea(attrs={"rows": 4, **PLAIN}), **said)


def _flag(part: JSON, said: dict[str, Any]) -> forms.Field:
    if part["nullable"] or "default" not in part:
        now = said.pop("initial")
        initial = "" if now is None else ("Yes" if now else "No")
        return _choice({"Yes": True, "No": False}, said | {"required": False, "initial": initial})
    return forms.BooleanField(**said | {"required": False})


def _choice(words: Mapping[str, Any], said: dict[str, Any]) -> forms.Field:
    empty = [] if said["required"] else [("", "As it comes")]
    choices = [*empty, *((word, word) for word in words)]
    return forms.TypedChoiceField(choices=choices, coerce=words.__getitem__, empty_value=None, **said)


def _list(part: JSON, said: dict[str, Any], choices: Sequence[str] | None) -> forms.Field:
    inner: forms.Field
    if choices is None:
        inner = LinesField(required=False)
        said["help_text"] = f"{said['help_text']} One a line."
    else:
        boxes = forms.CheckboxSelectMultiple()
        inner = forms.MultipleChoiceField(choices=[(one, one) for one in choices], required=False, widget=boxes)
    if part["nullable"]:
        return ListedField(inner, said.pop("label"), **said | {"required": False})
    inner.label, inner.initial, inner.help_text = said["label"], said["initial"] or [], said["help_text"]
    return inner
