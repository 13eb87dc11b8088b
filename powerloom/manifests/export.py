"""Exporting: a subtree as documents that plan as no change, one query a table for any number of rows.

It holds what its reader may see and can name. What no document can say (a skill of Anthropic's, a binding that ends by
itself) is told in a comment at the top. Never a secret: what a config names of them are names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any  # documents are JSON
from uuid import UUID

import yaml
from django.db.models import Q, QuerySet

from accounts import queries as accounts
from accounts.models import OU, Binding, DecisionType, Membership
from accounts.rbac import shown
from agents import queries as agents
from agents.models import Agent, AgentMCPServer, AgentSkill, MCPServer, Skill
from agents.queries import latest_versions
from agents.queries.credentials import credentials_visible_to
from agents.queries.skills import skills_visible_to
from approvals.queries import policies_visible_to
from powerloom.kernel.errors import NotFound
from powerloom.kernel.refs import Actor
from powerloom.manifests.shapes import VERSIONS

JSON = dict[str, Any]


def exported(path: str, actor: Actor) -> str:
    """Return the subtree at an OU's path as YAML. Raises `NotFound`."""
    top = accounts.ous_visible_to(actor).filter(path=f"{path}/").first()
    if top is None:
        raise NotFound
    return _as_yaml(Subtree(top, actor))


def exported_agent(agent: Agent, actor: Actor) -> str:
    """Return one agent, which the actor may read, with what is attached to it, as YAML."""
    return _as_yaml(OneAgent(agent, actor))


def drafted_agent(metadata: JSON, spec: JSON, fixed: JSON) -> str:
    """Return an agent that nobody has declared yet as YAML: where it would be, what it should be, whose it is."""
    return dumped([_agent_document(metadata, spec, fixed)])


def dumped(documents: Iterable[JSON]) -> str:
    """Return documents as people write them."""
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def _as_yaml(subtree: Subtree) -> str:
    documents = list(subtree.documents())
    return "".join(f"# Not in this manifest: {note}\n" for note in subtree.notes) + dumped(documents)


class Subtree:
    """What an actor may read in an OU and below. `notes` fills while the documents are made."""

    def __init__(self, top: OU, actor: Actor) -> None:
        self._top = top
        self._actor = actor
        self.notes: list[str] = []

    def documents(self) -> Iterator[JSON]:
        """Return every document, in the order in which they would be applied."""
        yield from self._ous()
        yield from self._groups()
        yield from self._bindings()
        yield from self._skills()
        yield from self._servers()
        yield from self._deployments()
        yield from self._agents()
        yield from self._agent_skills()
        yield from self._agent_servers()
        yield from self._credentials()
        yield from self._grants()
        yield from self._policies()

    def _ous(self) -> Iterator[JSON]:
        for row in accounts.ous_visible_to(self._actor).filter(path__startswith=self._top.path).order_by("path"):
            above = shown(row.path).rpartition("/")[0]
            metadata = {"name": row.name} | ({"parent_ou_path": above} if above else {})
            yield _document("OU", metadata, {"display_name": row.display_name})

    def _groups(self) -> Iterator[JSON]:
        rows = list(self._here(accounts.groups_visible_to(self._actor)))
        for row in rows:
            yield _document("Group", _place(row), _shown(row))
        members = Membership.objects.filter(group__in=rows).select_related("group__ou", "member")
        for one in members.order_by("group__ou__path", "group__name", "member__ref"):
            yield _document("GroupMembership", {"group_path": _path(one.group), "member_ref": one.member.ref})

    def _bindings(self) -> Iterator[JSON]:
        rows = accounts.bindings_visible_to(self._actor).filter(
            resource_id__isnull=True, scope_ou__path__startswith=self._top.path
        )
        for row in self._nameable(rows.order_by("scope_ou__path", "principal__ref", "role__name", "decision_type")):
            if row.expires_at:
                self.notes.append(f"{row.role.name} for {row.principal.ref} ends at {row.expires_at:%Y-%m-%d %H:%M}.")
                continue
            metadata = {
                "principal_ref": row.principal.ref,
                "role": row.role.name,
                "scope_ou_path": shown(row.scope_ou.path),
                "decision_type": row.decision_type,
            }
            yield _document("RoleBinding", metadata)

    def _skills(self) -> Iterator[JSON]:
        for row in self._here(skills_visible_to(self._actor)):
            schema = {} if row.tool_schema is None else {"tool_schema": row.tool_schema}
            yield _document("Skill", _place(row), _shown(row) | {"skill_type": row.skill_type} | schema)

    def _servers(self) -> Iterator[JSON]:
        for row in self._here(agents.servers_visible_to(self._actor).filter(deployment__isnull=True)):
            yield _document("MCPServerRegistration", _place(row), _shown(row) | {"url": row.url})

    def _deployments(self) -> Iterator[JSON]:
        for row in self._here(agents.deployments_visible_to(self._actor)):
            spec = {
                "display_name": row.display_name,
                "template_kind": row.template_kind,
                "isolation_mode": row.isolation_mode,
                "config": row.config,
                "policy": row.policy,
            }
            yield _document("MCPDeployment", _place(row), spec)

    def _agents(self) -> Iterator[JSON]:
        versions = latest_versions(self._rows)
        for row in self._rows:
            fixed = {"owner_principal_ref": row.owner_principal.ref, "agent_kind": row.agent_kind}
            yield _agent_document(_place(row), versions[row.pk].spec, fixed)

    def _agent_skills(self) -> Iterator[JSON]:
        rows = AgentSkill.objects.filter(agent__in=self._ids).select_related("agent__ou").order_by("pk")
        lent = self._seen(skills_visible_to(self._actor), (row.skill_id for row in rows))
        for row in rows:
            if row.skill_id is None:
                self.notes.append(f"{_path(row.agent)} has {row.prebuilt}, a skill of Anthropic's.")
            elif row.skill_id in lent:
                pin = {"skill_version_id": str(row.skill_version_id)} if row.skill_version_id else {}
                metadata = {"agent_path": _path(row.agent), "skill_path": _path(lent[row.skill_id])}
                yield _document("AgentSkill", metadata, pin)

    def _agent_servers(self) -> Iterator[JSON]:
        rows = AgentMCPServer.objects.filter(agent__in=self._ids).select_related("agent__ou").order_by("pk")
        lent = self._seen(agents.servers_visible_to(self._actor), (row.server_id for row in rows))
        for row in rows:
            if row.server_id in lent:
                spec = {"permission": row.permission, "four_eyes": row.four_eyes, "tools": row.tools}
                yield _document("AgentMCPServer", _given(row.agent, lent[row.server_id]), spec)

    def _credentials(self) -> Iterator[JSON]:
        rows = credentials_visible_to(self._actor).filter(agent__in=self._ids).order_by("pk")
        lent = self._seen(agents.servers_visible_to(self._actor), (row.server_id for row in rows))
        for row in rows:
            if row.server_id in lent:
                yield _document("Credential", _given(row.agent, lent[row.server_id]))

    def _grants(self) -> Iterator[JSON]:
        skills = {row.pk: row for row in self._here(skills_visible_to(self._actor))}
        rows = Binding.objects.filter(
            resource_id__in=list(skills), ended_at__isnull=True, decision_type=DecisionType.ALLOW
        ).select_related("principal", "role")
        for row in self._nameable(rows.order_by("pk")):
            if row.resource_id in skills:
                path = _path(skills[row.resource_id])
                yield _document("SkillAccessGrant", {"skill_path": path, "principal_ref": row.principal.ref})

    def _policies(self) -> Iterator[JSON]:
        rows = policies_visible_to(self._actor).filter(scope_path__startswith=self._top.path)
        for row in rows.order_by("scope_path", "name"):
            fields = ("description", "action_pattern", "condition", "quorum", "ttl_seconds", "justification_required")
            spec = {name: getattr(row, name) for name in (*fields, "is_on")}
            if row.approver_role:
                spec["approver_role"] = row.approver_role.name
            if row.approver_group:
                spec["approver_group_path"] = _path(row.approver_group)
            yield _document("ApprovalPolicy", {"name": row.name, "scope_ou_path": shown(row.scope_path)}, spec)

    @cached_property
    def _rows(self) -> list[Agent]:
        return list(self._here(agents.agents_visible_to(self._actor)))

    @property
    def _ids(self) -> list[UUID]:
        return [row.pk for row in self._rows]

    def _here(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(ou__path__startswith=self._top.path).order_by("ou__path", "name")

    def _seen(self, rows: QuerySet[Any], ids: Iterable[UUID | None]) -> dict[UUID, Any]:
        return {row.pk: row for row in rows.filter(pk__in={id_ for id_ in ids if id_})}

    def _nameable(self, rows: QuerySet[Binding]) -> list[Binding]:
        """Leave out what names an agent that the actor does not see."""
        found = list(rows)
        named = {row.principal_id for row in found if row.principal.kind == "agent"}
        seen = set(agents.agents_visible_to(self._actor).filter(Q(pk__in=named)).values_list("pk", flat=True))
        return [row for row in found if row.principal.kind != "agent" or row.principal_id in seen]


class OneAgent(Subtree):
    """One agent with its attachments and credentials."""

    def __init__(self, agent: Agent, actor: Actor) -> None:
        super().__init__(agent.ou, actor)
        self._agent = agent

    def documents(self) -> Iterator[JSON]:
        """Return every document, in the order in which they would be applied."""
        yield from self._agents()
        yield from self._agent_skills()
        yield from self._agent_servers()
        yield from self._credentials()

    @cached_property
    def _rows(self) -> list[Agent]:
        return [self._agent]


def _agent_document(metadata: JSON, spec: JSON, fixed: JSON) -> JSON:
    said = {name: spec[name] for name in ("description", "max_duration") if spec.get(name) is not None}
    wanted = {name: spec[name] for name in ("display_name", "model", "system_prompt", "tools", "metadata")}
    return _document("Agent", metadata, {**wanted, **said, **fixed})


def _document(kind: str, metadata: JSON, spec: JSON | None = None) -> JSON:
    return {"apiVersion": VERSIONS[0], "kind": kind, "metadata": metadata} | ({"spec": spec} if spec else {})


def _path(row: Any) -> str:
    return f"{row.ou.path}{row.name}"


def _place(row: Any) -> JSON:
    return {"name": row.name, "ou_path": shown(row.ou.path)}


def _shown(row: Any) -> JSON:
    return {"display_name": row.display_name} | ({} if row.description is None else {"description": row.description})


def _given(agent: Agent, server: MCPServer | Skill) -> JSON:
    return {"agent_path": _path(agent), "mcp_registration_path": _path(server)}


class _Dumper(yaml.SafeDumper):
    """Texts of several lines stand as people write them, and nothing is said by an alias."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
_Dumper.add_multi_representer(str, lambda dumper, text: _text(dumper, str(text)))
