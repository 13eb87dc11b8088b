"""What belongs to a set of manifests is itself governed: whoever names a thing for a set lets the set prune it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Annotated, Any, ClassVar  # Any: metadata is the JSON of a document
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict, Field

from accounts.models import Membership
from accounts.names import Name
from accounts.queries import ous_for
from agents.models import AgentMCPServer, AgentSkill
from powerloom.commands.registry import Change, Command, Found, Subject, handles_all
from powerloom.kernel.errors import NotFound
from powerloom.kernel.refs import Actor, Target
from powerloom.manifests.actions import Action
from powerloom.manifests.models import SetMember

# What ties two things together and has no id before it is made: its rows, and what they tie.
TIES: dict[str, tuple[Any, str, str]] = {
    "GroupMembership": (Membership, "group_id", "member_id"),
    "AgentSkill": (AgentSkill, "agent_id", "skill_id"),
    "AgentMCPServer": (AgentMCPServer, "agent_id", "server_id"),
}


class Member(BaseModel):
    """One thing of a kind, by the ids that it is known by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    key: Annotated[list[str], Field(min_length=1, max_length=4)]
    address: str
    metadata: dict[str, Any] = {}

    @property
    def text(self) -> str:
        return " ".join(self.key)


class RecordMembers(Command):
    """Say which things in an OU belong to a set of manifests from now on, and which no longer do."""

    action: ClassVar[str] = Action.MANIFEST_SET_RECORD
    ou_id: UUID
    set_name: Name
    joined: list[Member] = []
    left: list[Member] = []


def load_ous(commands: Sequence[RecordMembers], actor: Actor) -> list[Found]:
    ous = ous_for(actor, [command.ou_id for command in commands])
    found: list[Found] = []
    for command in commands:
        ou = ous.get(command.ou_id)
        if ou is None:
            found.append(NotFound())
            continue
        set_id = uuid5(ou.organization_id, command.set_name)
        found.append(Subject(ou, Target("manifest_set", set_id, command.set_name, ou.organization_id, ou.path)))
    return found


@handles_all(RecordMembers, load=load_ous)
def record_members(commands: Sequence[RecordMembers], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    left = {(command.set_name, command.ou_id, one.text) for command in commands for one in command.left}
    organization_id = subjects[0].row.organization_id
    held = SetMember.objects.filter(organization_id=organization_id, key__in=[key for _, _, key in left])
    gone = [row.pk for row in held if (row.set_name, row.ou_id, row.key) in left]
    SetMember.objects.filter(pk__in=gone).delete()
    known = iter(_known([one for command in commands for one in command.joined]))
    rows = [
        SetMember(
            organization_id=organization_id,
            ou=subject.row,
            set_name=command.set_name,
            kind=one.kind,
            key=one.text,
            metadata=one.metadata,
        )
        for command, subject in zip(commands, subjects, strict=True)
        for one in islice(known, len(command.joined))
    ]
    SetMember.objects.bulk_create(rows, ignore_conflicts=True)
    return [
        Change(subject.row, {"left": _named(command.left)}, {"joined": _named(command.joined)})
        for command, subject in zip(commands, subjects, strict=True)
    ]


def _known(members: list[Member]) -> list[Member]:
    """Return the members by whole keys: a tie that was just made has its id by now."""
    found: dict[tuple[str, ...], int | UUID] = {}
    for kind, (model, *ends) in TIES.items():
        made = [one.key for one in members if one.kind == kind and len(one.key) == len(ends)]
        if made:
            rows = model.objects.filter(**{f"{end}__in": [key[at] for key in made] for at, end in enumerate(ends)})
            found |= {(kind, str(row[0]), str(row[1])): row[2] for row in rows.values_list(*ends, "pk")}
    ids = [found.get((one.kind, *one.key)) for one in members]
    return [
        one if id_ is None else one.model_copy(update={"key": [*one.key, str(id_)]})
        for one, id_ in zip(members, ids, strict=True)
    ]


def _named(members: list[Member]) -> list[str]:
    return [f"{one.kind} {one.address}" for one in members]
