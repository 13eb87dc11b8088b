"""Platform operators: who may read every tenant in the admin. Made and unmade on the server alone."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from accounts.actions import Action
from accounts.models import User
from accounts.queries import user_for_change
from powerloom.commands.registry import Change, Command, Subject, handles
from powerloom.kernel.errors import NotFound
from powerloom.kernel.refs import Actor


class SetOperator(Command):
    """Make a user a platform operator, or end it."""

    action: ClassVar[str] = Action.USER_SET_OPERATOR
    user_id: UUID
    is_operator: bool


def load_user(command: SetOperator, actor: Actor) -> Subject:
    if actor.kind != "system":
        raise NotFound  # whatever somebody's role says: no tenant hands out a view of the others
    user = user_for_change(actor, command.user_id)
    return Subject(user, user.target())


@handles(SetOperator, load=load_user, changes_access=True, holdable=False)
def set_operator(command: SetOperator, *, subject: Subject, actor: Actor) -> Change:
    user: User = subject.row
    before, user.is_staff = user.is_staff, command.is_operator
    user.save(update_fields=["is_staff"])
    return Change(user, {"is_operator": before}, {"is_operator": user.is_staff})
