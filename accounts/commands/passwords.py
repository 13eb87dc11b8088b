"""Passwords: one's own, and a first one for somebody else. The command carries the sealed hash, never the password."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from accounts import closures, escalation, rbac, sealing
from accounts.actions import Action
from accounts.models import Sealed, User
from accounts.queries import user_for_change
from powerloom.commands.registry import Change, Command, Subject, handles
from powerloom.kernel.errors import Denied
from powerloom.kernel.explanation import Remedy
from powerloom.kernel.refs import Actor

SEALED = "password_hash"


class SetPassword(Command):
    """Give a user a new password; its sign-ins end. Whoever sets another's could then sign in as that user, so it must
    hold all that the user holds.
    """

    action: ClassVar[str] = Action.USER_SET_PASSWORD
    user_id: UUID
    sealed_id: UUID


def load_user(command: SetPassword, actor: Actor) -> Subject:
    user = user_for_change(actor, command.user_id)
    sealed = sealing.waiting(command.sealed_id, kind=SEALED, organization_id=user.organization_id)
    return Subject((user, sealed), user.target(), own=user.id == actor.id)


@handles(SetPassword, load=load_user, changes_access=True, holdable=False)
def set_password(command: SetPassword, *, subject: Subject, actor: Actor) -> Change:
    user: User
    sealed: Sealed
    user, sealed = subject.row
    if user.is_staff and actor.kind == "user" and user.id != actor.id:
        step = Remedy("operator", "Run manage.py set_password on the server.")
        raise Denied("A platform operator's password is set on the server: manage.py set_password.", remedy=[step])
    if user.id == actor.principal_id and actor.token_id is not None:
        # Whatever a role says: a narrow or ending token would become all of its owner, for ever.
        raise Denied(
            "Your own password is changed after a sign-in, not with a token.",
            permission=str(command.action),
            remedy=[Remedy("sign_in", "Sign in and change it there.", (actor.ref,))],
        )
    if user.id != actor.id:
        # What it would speak for once it is enabled: a disabled user is nobody now.
        lent = rbac.grants_naming(closures.speaks_as([user.id])[user.id])
        escalation.require_held(actor, escalation.allows(lent))
    user.password = sealing.unseal(sealed)
    user.save(update_fields=["password"])
    sealed.delete()
    return Change(user, None, {"password": "set anew"})
