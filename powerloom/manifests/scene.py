"""What documents may name: things that are there and in sight, and things that the same set will make.

Everything is looked up through the actor's own queries, a constant number of them for any number of documents; what is
absent, foreign or unseen is told alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any  # rows differ by kind
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts import queries as accounts
from accounts.models import OU, Binding, DecisionType, Membership, Role, Sealed
from agents import queries as agents
from agents.models import Agent, AgentMCPServer, AgentSkill, AgentVersion, Credential
from agents.queries import latest_versions
from agents.queries.skills import skills_visible_to
from approvals.models import ApprovalPolicy
from approvals.queries import policies_visible_to
from powerloom.kernel.refs import Actor
from powerloom.manifests.documents import Document

PATHS = ("ou_path", "parent_ou_path", "scope_ou_path")
THINGS = ("group_path", "skill_path", "agent_path", "mcp_registration_path", "approver_group_path")

BindingKey = tuple[UUID, UUID, UUID, str]


class Missing(Exception):
    """A reference leads nowhere that the actor can see. The message says which."""


class Scene:
    """What is there for one actor and a set of documents. `made` is what the set itself makes, by kind and address;
    `sealed`, the values that its commands will take, not yet inserted.
    """

    def __init__(self, actor: Actor, documents: Sequence[Document]) -> None:
        self.actor = actor
        self.made: dict[tuple[str, str], UUID] = {}
        self.sealed: list[Sealed] = []
        self._documents = documents
        self._named = _names(documents)

    # References

    def ou_id(self, path: str) -> UUID:
        """Return the id of the OU at a path. Raises `Missing`."""
        row = self.ous.get(path)
        return row.id if row else self._made("OU", path, f"the OU {path}")

    def thing_id(self, kind: str, path: str) -> UUID:
        """Return the id of a group, skill, agent or registration by its path. Raises `Missing`."""
        row = self.things(kind).get(path)
        return row.id if row else self._made(kind, path, f"the {kind} {path}")

    def principal_id(self, ref: str) -> UUID:
        """Return the principal that `user:a@b`, `group:/path`, `agent:/path` or `ou:/path` names. Raises `Missing`."""
        kind, _, rest = ref.partition(":")
        if kind == "user":
            if rest not in self.users:
                raise Missing(f"there is no user {rest} that you can see")
            return self.users[rest]
        return self.ou_id(rest) if kind == "ou" else self.thing_id(kind.capitalize(), rest)

    def policy_id(self, name: str) -> UUID:
        """Return the id of an approval policy by its name. Raises `Missing`."""
        row = self.policies.get(name)
        return row.id if row else self._made("ApprovalPolicy", name, f"the ApprovalPolicy {name}")

    def role(self, name: str) -> Role:
        """Return a role by its name. Raises `Missing`."""
        if name not in self.roles:
            raise Missing(f"there is no role {name}")
        return self.roles[name]

    def things(self, kind: str) -> dict[str, Any]:
        """Return the rows of a kind that documents name, by path."""
        found: dict[str, dict[str, Any]] = {
            "Group": self.groups,
            "Skill": self.skills,
            "Agent": self.agents,
            "MCPServerRegistration": self.servers,
            "MCPDeployment": self.deployments,
        }
        return found[kind]

    def _made(self, kind: str, address: str, what: str) -> UUID:
        # A deployment's registration has its name and OU.
        for alias in (kind, "MCPDeployment.registration" if kind == "MCPServerRegistration" else kind):
            if (alias, address) in self.made:
                return self.made[alias, address]
        raise Missing(f"{what} is not there, or you cannot see it; it must be there, or be made by this manifest")

    # What is there

    @cached_property
    def ous(self) -> dict[str, OU]:
        paths = {f"{place}/" for place in self._named}
        rows = accounts.ous_visible_to(self.actor).filter(path__in=paths)
        return {row.path.rstrip("/"): row for row in rows}

    @cached_property
    def users(self) -> dict[str, UUID]:
        rows = accounts.users_visible_to(self.actor).filter(email__in=_emails(self._documents))
        return dict(rows.values_list("email", "pk"))

    @cached_property
    def roles(self) -> dict[str, Role]:
        return {row.name: row for row in accounts.roles_visible_to(self.actor)}

    @cached_property
    def groups(self) -> dict[str, Any]:
        return self._placed(accounts.groups_visible_to(self.actor).select_related("ou"))

    @cached_property
    def skills(self) -> dict[str, Any]:
        return self._placed(skills_visible_to(self.actor))

    @cached_property
    def servers(self) -> dict[str, Any]:
        return self._placed(agents.servers_visible_to(self.actor))

    @cached_property
    def deployments(self) -> dict[str, Any]:
        return self._placed(agents.deployments_visible_to(self.actor))

    @cached_property
    def agents(self) -> dict[str, Agent]:
        return self._placed(agents.agents_visible_to(self.actor))

    @cached_property
    def versions(self) -> dict[UUID, AgentVersion]:
        return latest_versions(self.agents.values())

    @cached_property
    def skill_attachments(self) -> dict[tuple[UUID, UUID | None], AgentSkill]:
        rows = AgentSkill.objects.filter(agent__in=self._agent_ids)
        return {(row.agent_id, row.skill_id): row for row in rows}

    @cached_property
    def server_attachments(self) -> dict[tuple[UUID, UUID], AgentMCPServer]:
        rows = AgentMCPServer.objects.filter(agent__in=self._agent_ids)
        return {(row.agent_id, row.server_id): row for row in rows}

    @cached_property
    def credentials(self) -> dict[tuple[UUID, UUID], UUID]:
        rows = Credential.objects.filter(agent__in=self._agent_ids, archived_at__isnull=True)
        return {(row[0], row[1]): row[2] for row in rows.values_list("agent_id", "server_id", "pk")}

    @cached_property
    def members(self) -> dict[tuple[UUID, UUID], int]:
        rows = Membership.objects.filter(group__in=[row.pk for row in self.groups.values()])
        return {(row[0], row[1]): row[2] for row in rows.values_list("group_id", "member_id", "pk")}

    @cached_property
    def bindings(self) -> dict[BindingKey, UUID | None]:
        """None stands for one that ends by itself: no document made it, and none takes it away."""
        unexpired = Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now())
        rows = accounts.bindings_visible_to(self.actor).filter(
            unexpired, resource_id__isnull=True, scope_ou__in=[row.pk for row in self.ous.values()]
        )
        fields = ("principal_id", "role_id", "scope_ou_id", "decision_type", "pk", "expires_at")
        return {row[:4]: None if row[5] else row[4] for row in rows.values_list(*fields)}

    def binding_key(self, said: Any) -> BindingKey:
        """Return what tells one binding from another, for a document's metadata. Raises `Missing`."""
        scope_id = self.ou_id(said.scope_ou_path)
        return self.principal_id(said.principal_ref), self.role(said.role).id, scope_id, said.decision_type

    @cached_property
    def grants(self) -> dict[tuple[UUID, UUID], UUID]:
        rows = Binding.objects.filter(resource_id__in=[row.pk for row in self.skills.values()], ended_at__isnull=True)
        live = rows.filter(decision_type=DecisionType.ALLOW)
        return {(row.resource_id, row.principal_id): row.pk for row in live if row.resource_id}

    @cached_property
    def policies(self) -> dict[str, ApprovalPolicy]:
        return {row.name: row for row in policies_visible_to(self.actor)}

    def tie_id(self, kind: str, ends: tuple[UUID, UUID]) -> UUID | int | None:
        """Return the id of the row that ties two things together, None when there is none yet."""
        if kind in {"AgentSkill", "AgentMCPServer"}:
            rows: dict[Any, Any] = self.skill_attachments if kind == "AgentSkill" else self.server_attachments
            return rows[ends].pk if ends in rows else None
        found: dict[str, Any] = {
            "GroupMembership": self.members,
            "SkillAccessGrant": self.grants,
            "Credential": self.credentials,
        }
        tie: UUID | int | None = found[kind].get(ends)
        return tie

    @property
    def _agent_ids(self) -> list[UUID]:
        return [row.pk for row in self.agents.values()]

    def _placed(self, rows: QuerySet[Any]) -> dict[str, Any]:
        places = [path.rpartition("/") for path in self._named]
        wanted = Q(ou__path__in={f"{place}/" for place, _, _ in places}, name__in={name for _, _, name in places})
        found = {f"{row.ou.path}{row.name}": row for row in rows.filter(wanted)}
        return {path: row for path, row in found.items() if path in self._named}


def _names(documents: Iterable[Document]) -> set[str]:
    """Return every path that documents name, of OUs and of things, their own addresses among them."""
    found: set[str] = set()
    for document in documents:
        said = document.metadata.model_dump() | document.spec.model_dump(include={"approver_group_path"})
        found |= {said[name] for name in (*PATHS, *THINGS) if said.get(name)}
        found |= {ref.partition(":")[2] for ref in _refs(document) if not ref.startswith("user:")}
        if "ou_path" in said:
            found.add(document.address)
            inline = document.spec.model_dump(include={"skills", "mcp_servers"})
            found |= {f"{said['ou_path']}/{name}" for names in inline.values() for name in names}
        if document.kind.name == "OU":
            found.add(document.address)
    return found


def _refs(document: Document) -> list[str]:
    said = {**document.metadata.model_dump(), **document.spec.model_dump(include={"owner_principal_ref"})}
    return [said[name] for name in ("principal_ref", "member_ref", "owner_principal_ref") if said.get(name)]


def _emails(documents: Iterable[Document]) -> set[str]:
    refs = [ref for document in documents for ref in _refs(document)]
    return {ref.partition(":")[2] for ref in refs if ref.startswith("user:")}
