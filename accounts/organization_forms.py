"""Forms of the organization's room. Each is valid when its command is; the command is what it makes."""

from __future__ import annotations

from typing import Any  # cleaned form values

from django import forms

from accounts.commands.bindings import CreateBinding
from accounts.commands.groups import AddMember, CreateGroup, UpdateGroup
from accounts.commands.ous import CreateOU, UpdateOU
from accounts.commands.roles import CreateRole, UpdateRole
from accounts.commands.users import CreateUser, MoveUser, UpdateUser
from accounts.fields import ActorForm, OUField, PrincipalField, RoleField
from accounts.matrix import actions_about, nouns
from accounts.models import DecisionType
from powerloom.web.forms import SchemaForm

NAME_HELP = "Lowercase letters, digits and hyphens, as in paths. It never changes."
MOMENT = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
DECISIONS = [(DecisionType.ALLOW.value, "Allow"), (DecisionType.DENY.value, "Deny: wins over every allow")]


def _text(**attrs: Any) -> forms.TextInput:
    return forms.TextInput(attrs={"autocomplete": "off", **attrs})


class OUForm(ActorForm[CreateOU]):
    """Make an OU."""

    schema = CreateOU

    parent_id = OUField(label="Below")
    name = forms.CharField(help_text=NAME_HELP, widget=_text(autofocus=True, spellcheck="false"))
    display_name = forms.CharField(help_text="What people read.")


class RenameOUForm(SchemaForm[UpdateOU]):
    """Change what people read."""

    schema = UpdateOU

    display_name = forms.CharField(widget=_text(autofocus=True))


class UserForm(ActorForm[CreateUser]):
    """Make a person."""

    schema = CreateUser

    email = forms.CharField(label="E-mail", widget=forms.EmailInput(attrs={"autofocus": True, "autocomplete": "off"}))
    name = forms.CharField(required=False, max_length=255, widget=_text())
    home_ou_id = OUField(label="Home OU", help_text="The user gets what this OU and those above it are given.")


class RenameUserForm(SchemaForm[UpdateUser]):
    """Change a person's name."""

    schema = UpdateUser

    name = forms.CharField(required=False, max_length=255, widget=_text(autofocus=True))

    def payload(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        return self.given | {"name": cleaned["name"]}


class MoveUserForm(ActorForm[MoveUser]):
    """Give a person another home."""

    schema = MoveUser

    home_ou_id = OUField(label="Home OU", help_text="Rights that come from the old home end, those of the new begin.")


class GroupForm(ActorForm[CreateGroup]):
    """Make a group."""

    schema = CreateGroup

    ou_id = OUField(label="OU")
    name = forms.CharField(help_text=NAME_HELP, widget=_text(autofocus=True, spellcheck="false"))
    display_name = forms.CharField(help_text="What people read.")
    description = forms.CharField(required=False, max_length=1024, widget=forms.Textarea(attrs={"rows": 3}))


class EditGroupForm(SchemaForm[UpdateGroup]):
    """Change what people read of a group."""

    schema = UpdateGroup

    display_name = forms.CharField(widget=_text(autofocus=True))
    description = forms.CharField(required=False, max_length=1024, widget=forms.Textarea(attrs={"rows": 3}))

    def payload(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        return self.given | {"display_name": cleaned["display_name"], "description": cleaned["description"] or None}


class MemberForm(ActorForm[AddMember]):
    """Put somebody into a group."""

    schema = AddMember

    member_id = PrincipalField(label="User or group", help_text="A group in a group brings all its members.")


class BindingForm(ActorForm[CreateBinding]):
    """Bind a role."""

    schema = CreateBinding

    principal_id = PrincipalField(label="Whom", help_text="A user, a group, an OU (ou:/acme/sales) or an agent.")
    role_id = RoleField(label="Role")
    scope_ou_id = OUField(label="On", help_text="It covers this OU and all below.")
    decision_type = forms.ChoiceField(label="Decision", choices=DECISIONS, widget=forms.RadioSelect, initial="allow")
    expires_at = forms.DateTimeField(required=False, label="Until (UTC)", widget=MOMENT, help_text="Empty: for ever.")


class Actions(forms.CheckboxSelectMultiple):
    """Boxes in one fold for each noun; folds with a ticked box stand open."""

    template_name = "parts/choices_by_group.html"


class ActionsField(forms.MultipleChoiceField):
    """All actions, by what they are about."""

    def __init__(self, **kwargs: Any) -> None:
        choices = [(noun, [(action, action) for action in actions_about(noun)]) for noun in nouns()]
        super().__init__(choices=choices, widget=Actions, **kwargs)


class RoleForm(SchemaForm[CreateRole]):
    """Make a custom role."""

    schema = CreateRole

    name = forms.CharField(help_text="As Deployer: letters, digits, - and _.", widget=_text(autofocus=True))
    description = forms.CharField(required=False, max_length=1024)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["actions"] = ActionsField(label="Actions")


class EditRoleForm(SchemaForm[UpdateRole]):
    """Change a custom role."""

    schema = UpdateRole

    description = forms.CharField(required=False, max_length=1024)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["actions"] = ActionsField(label="Actions")

    def payload(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        return self.given | {"description": cleaned["description"], "actions": cleaned["actions"]}
