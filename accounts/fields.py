"""Form fields that name things as people write them and give the id: an OU by its path, a principal by its reference.

What the actor may not see is answered like what does not exist.
"""

from __future__ import annotations

from typing import Any, ClassVar  # Any: cleaned form values
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from pydantic import BaseModel

from accounts import queries
from accounts.law import shown
from powerloom.kernel.errors import NotFound
from powerloom.kernel.refs import Actor
from powerloom.web.forms import S, SchemaForm, Suggested

MOST_OFFERED = 200  # what is not offered may still be typed


class Named(forms.CharField):
    """A field whose text is looked up for the actor that the form was made for."""

    widget = Suggested
    missing: ClassVar[str]
    actor: Actor

    def ask(self, actor: Actor) -> None:
        """Look up for this actor from now on, and offer what it may name."""
        self.actor = actor
        self.widget.options = self.offered()

    def clean(self, value: Any) -> UUID | None:
        text = super().clean(value).strip()
        try:
            return self.find(text) if text else None
        except NotFound as error:
            raise ValidationError(self.missing) from error

    def offered(self) -> list[str]:
        raise NotImplementedError

    def find(self, text: str) -> UUID:
        raise NotImplementedError


class OUField(Named):
    """An OU, by its path or its id."""

    missing = "There is no OU at this path. Write it as /acme/engineering."

    def offered(self) -> list[str]:
        ous = queries.ous_visible_to(self.actor).order_by("path")[:MOST_OFFERED]
        return [shown(ou.path) for ou in ous]

    def find(self, text: str) -> UUID:
        return queries.ou_named(self.actor, text).id


class PrincipalField(Named):
    """A user by e-mail, or any principal by its reference."""

    missing = "There is nobody of this name. Write a user as a@b.example, a group as group:/acme/engineering/leads."

    def offered(self) -> list[str]:
        found = queries.named_in_directory(self.actor)
        return [one.ref for one in found[:MOST_OFFERED]]

    def find(self, text: str) -> UUID:
        return queries.principal_named(self.actor, text).id


class RoleField(Named):
    """A role, by its name."""

    missing = "There is no role of this name."

    def offered(self) -> list[str]:
        return [role.name for role in queries.roles_visible_to(self.actor).order_by("organization_id", "name")]

    def find(self, text: str) -> UUID:
        return queries.role_named(self.actor, text).id


class ActorForm(SchemaForm[S]):
    """A form with such fields."""

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if isinstance(field, Named):
                field.ask(actor)


class Typed(BaseModel):
    """What a person typed to confirm something that cannot be undone."""

    word: str


class ConfirmForm(SchemaForm[Typed]):
    """Asks for the name of what is about to end."""

    schema = Typed

    word = forms.CharField(label="Its name, to confirm", widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.name = name
        self.fields["word"].help_text = f"Type {name}. This cannot be undone."

    def clean_word(self) -> str:
        word: str = self.cleaned_data["word"]
        if word != self.name:
            raise ValidationError(f"This is not {self.name}. Nothing was done.")
        return word
