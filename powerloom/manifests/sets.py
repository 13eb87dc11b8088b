"""Sets of manifests: what was applied under one name, so that what has left the manifests can be taken away.

A thing is known by its ids: another one that has its name since then does not belong to the set. What the actor cannot
see is left as it is and not told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q

from powerloom.commands.registry import Command
from powerloom.kernel.refs import Actor
from powerloom.manifests.commands import Member, RecordMembers
from powerloom.manifests.documents import Document
from powerloom.manifests.models import SetMember
from powerloom.manifests.parse import Raw
from powerloom.manifests.scene import Missing, Scene
from powerloom.manifests.shapes import KINDS
from powerloom.manifests.steps import Step, Verb


@dataclass
class Membership:
    """What an organization's set holds now, and of each thing in it whether other sets hold it too."""

    name: str
    rows: list[SetMember]
    shared: set[tuple[str, str]]

    @classmethod
    def of(cls, name: str, actor: Actor) -> Membership:
        """Load a set by its name; two queries."""
        everything = SetMember.objects.filter(Q(organization_id=actor.organization_id))
        rows = list(everything.filter(set_name=name).order_by("pk"))
        others = everything.exclude(set_name=name).filter(key__in=[row.key for row in rows])
        return cls(name, rows, set(others.values_list("kind", "key")))

    def documents(self, beside: Iterable[Document]) -> list[Document]:
        """Return a document for each thing in the set that none of these names."""
        named = {(document.kind.name, document.address) for document in beside}
        documents = [_document(row) for row in self.rows if row.kind in KINDS]
        # Of two that had one name, one after the other, at most one is there.
        found = {(one.kind.name, one.address): one for one in documents}
        return [one for name, one in found.items() if name not in named]

    def holds(self, member: Member) -> bool:
        return any((row.kind, row.key) == (member.kind, member.text) for row in self.rows)

    def is_shared(self, member: Member) -> bool:
        return (member.kind, member.text) in self.shared

    def records(self, steps: Sequence[Step], scene: Scene) -> list[Command]:
        """Return the commands that make the set what these steps leave, one for each OU in which it changes."""
        held = {(row.kind, row.key) for row in self.rows}
        joined: dict[UUID, list[Member]] = {}
        left: dict[UUID, list[Member]] = {}
        for step in steps:
            member = step.member
            if member is None or step.verb in {Verb.DENIED, Verb.INVALID}:
                continue
            is_held = (member.kind, member.text) in held
            if step.leaves and is_held:
                left.setdefault(place_of(step.document, scene), []).append(member)
            elif not step.leaves and not is_held:
                joined.setdefault(place_of(step.document, scene), []).append(member)
        return [
            RecordMembers(ou_id=ou_id, set_name=self.name, joined=joined.get(ou_id, []), left=left.get(ou_id, []))
            for ou_id in dict.fromkeys([*joined, *left])
        ]


def member_of(document: Document, scene: Scene) -> Member | None:
    """Return what a document is about, by its ids; None when it is not there and nothing makes it."""
    try:
        key = _key(document, scene)
    except Missing:
        return None
    return Member(
        kind=document.kind.name,
        key=[str(part) for part in key],
        address=document.address,
        metadata=document.metadata.model_dump(mode="json", exclude_unset=True),
    )


def place_of(document: Document, scene: Scene) -> UUID:
    """Return the OU that a thing is in: for an OU, itself."""
    said = document.metadata
    if document.kind.name == "OU":
        return scene.ou_id(document.address)
    for name in ("ou_path", "scope_ou_path"):
        if path := getattr(said, name, None):
            return scene.ou_id(path)
    thing: str = getattr(said, "group_path", "") or getattr(said, "agent_path", "") or said.skill_path
    return scene.ou_id(thing.rpartition("/")[0])


def _key(document: Document, scene: Scene) -> Sequence[UUID | int]:
    """Return the ids that tell a thing from every other of its kind. Raises `Missing`.

    What ties two things together is known by these and by its own id, as soon as it has one: `RecordMembers` adds that.
    """
    said, kind = document.metadata, document.kind.name
    if kind == "OU":
        return [scene.ou_id(document.address)]
    if kind == "RoleBinding":
        binding_id = scene.bindings.get(scene.binding_key(said))
        if binding_id is None:
            raise Missing("there is no such binding")
        return [binding_id]
    if kind == "ApprovalPolicy":
        return [scene.policy_id(said.name)]
    things = (
        ("agent_path", "Agent"),
        ("group_path", "Group"),
        ("skill_path", "Skill"),
        ("mcp_registration_path", "MCPServerRegistration"),
    )
    named = [scene.thing_id(thing, getattr(said, field)) for field, thing in things if hasattr(said, field)]
    refs = [scene.principal_id(getattr(said, name)) for name in ("member_ref", "principal_ref") if hasattr(said, name)]
    if not named:
        return [scene.thing_id(kind, document.address)]
    one, other = *named, *refs
    tie_id = scene.tie_id(kind, (one, other))
    return [one, other] if tie_id is None else [one, other, tie_id]


def _document(row: SetMember) -> Document:
    kind = KINDS[row.kind]
    nothing = Raw({}, 0, {})
    return Document(kind, kind.metadata.model_validate(row.metadata), kind.spec(), nothing)
