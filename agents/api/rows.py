"""Rows to JSON, whole batches at a time: a constant number of queries for any number of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any  # JSON
from uuid import UUID

from django.utils import timezone

from accounts.models import Binding
from accounts.rbac import shown
from accounts.reasons import reasons_against
from agents import bearers, queries, readiness, stops, withholding
from agents.actions import ON_AGENT, ON_CREDENTIAL, ON_SKILL, Action
from agents.api.server_rows import server_attachments
from agents.kinds import SyncKind
from agents.models import Agent, AgentSkill, AgentVersion, Credential, Skill, SkillVersion
from agents.queries.agents import attachments_of
from agents.queries.lists import sync_states
from agents.queries.server_attachments import server_attachments_of
from agents.queries.skills import current_numbers
from powerloom.kernel.refs import Actor, Target
from powerloom.reconcile import status
from powerloom.reconcile.models import SyncState

JSON = dict[str, Any]


def agents(rows: Sequence[Agent]) -> list[JSON]:
    """Return the agents as the list shows them; two queries."""
    versions = queries.latest_versions(rows)
    states = sync_states(SyncKind.AGENT, [row.id for row in rows])
    return [_agent(row, versions[row.id], states.get(row.id)) for row in rows]


def agent(row: Agent, actor: Actor) -> JSON:
    """Return one agent as the list shows it and more."""
    attached = attachments_of(row)
    return agents([row])[0] | {
        "owner_ref": row.owner_principal.ref,
        "skills": attachments(attached),
        "withheld_skills": withholding.reasons(row, attached),
        "mcp_servers": server_attachments(row, server_attachments_of(row)),
        "sync": agent_sync(row),
        "can": _can(row, actor, ON_AGENT),
    }


def agent_sync(row: Agent) -> JSON:
    """Return where an agent stands; `live` counts its organization's environment too."""
    ready = readiness.of([row])[row.id]
    return _sync(row.target(), sync_states(SyncKind.AGENT, [row.id]).get(row.id), ready.checks)


def attachments(rows: Sequence[AgentSkill]) -> list[JSON]:
    """Return attached skills; what names one in a path is its `skill_id`."""
    return [{"skill_id": row.skill_id or row.prebuilt, "skill_version_id": row.skill_version_id} for row in rows]


def versions(rows: Sequence[AgentVersion]) -> list[JSON]:
    """Return versions without their specs, which a list does not load."""
    return [
        {
            "number": row.number,
            "author_ref": row.author_ref,
            "restored_from": row.restored_from,
            "cma_version": row.cma_version or None,
            "created_at": row.created_at,
        }
        for row in rows
    ]


def skills(rows: Sequence[Skill]) -> list[JSON]:
    """Return the skills as the list shows them; two queries."""
    states, numbers = sync_states(SyncKind.SKILL, [row.id for row in rows]), current_numbers(rows)
    return [_skill(row, states.get(row.id), numbers.get(row.id)) for row in rows]


def skill(row: Skill, actor: Actor) -> JSON:
    """Return one skill as the list shows it and more."""
    state = sync_states(SyncKind.SKILL, [row.id]).get(row.id)
    why = readiness.missing("skill", state) if state else "the skill has no version yet"
    sync = _sync(row.target(), state, [("skill", why)])
    return _skill(row, state, current_numbers([row]).get(row.id)) | {
        "sync": sync,
        "can": _can(row, actor, ON_SKILL),
    }


def skill_versions(rows: Sequence[SkillVersion], *, current: UUID | None) -> list[JSON]:
    """Return versions of one skill, whose current one is `current`; one query."""
    states = sync_states(SyncKind.SKILL_VERSION, [row.id for row in rows])
    return [_skill_version(row, states.get(row.id), is_current=row.id == current) for row in rows]


def credentials(rows: Sequence[Credential]) -> list[JSON]:
    """Return credentials as the list shows them; one query."""
    states = sync_states(SyncKind.CREDENTIAL, [row.id for row in rows])
    return [_credential(row, states.get(row.id)) for row in rows]


def credential(row: Credential, actor: Actor) -> JSON:
    """Return one credential as the list shows it and more."""
    state = sync_states(SyncKind.CREDENTIAL, [row.id]).get(row.id)
    why = readiness.missing("credential", state)
    sync = _sync(row.target(), state, [("credential", why)])
    return _credential(row, state) | {"sync": sync, "can": _can(row, actor, ON_CREDENTIAL)}


def grants(rows: Sequence[Binding]) -> list[JSON]:
    """Return grants of one skill."""
    return [
        {
            "id": row.id,
            "principal_id": row.principal_id,
            "principal_ref": row.principal.ref,
            "created_at": row.created_at,
        }
        for row in rows
    ]


def _agent(row: Agent, version: AgentVersion, state: SyncState | None) -> JSON:
    spec = version.spec
    return {
        "id": row.id,
        "name": row.name,
        "display_name": row.display_name,
        "description": spec["description"],
        "model": spec["model"],
        "system_prompt": spec["system_prompt"],
        "tools": spec["tools"],
        "metadata": spec["metadata"],
        "max_duration": spec.get("max_duration"),
        "runtime_type": row.runtime_type,
        "agent_kind": row.agent_kind,
        "ou_id": row.ou_id,
        "ou_path": shown(row.ou.path),
        "owner_principal_id": row.owner_principal_id,
        "version": row.version,
        "generation": row.generation,
        "cma_agent_id": _remote_id(state),
        "sync_status": status.of(state),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _skill(row: Skill, state: SyncState | None, current_number: int | None) -> JSON:
    return {
        "id": row.id,
        "name": row.name,
        "display_name": row.display_name,
        "display_title": row.display_name,
        "description": row.description,
        "ou_id": row.ou_id,
        "ou_path": shown(row.ou.path),
        "skill_type": row.skill_type,
        "tool_schema": row.tool_schema,
        "current_version_id": row.current_version_id,
        "current_version_number": current_number,
        "generation": row.generation,
        "cma_skill_id": _remote_id(state),
        "sync_status": status.of(state),
        "created_at": row.created_at,
    }


def _skill_version(row: SkillVersion, state: SyncState | None, *, is_current: bool) -> JSON:
    return {
        "id": row.id,
        "number": row.number,
        "name": row.name,
        "description": row.description,
        "sha256": row.sha256,
        "size_bytes": row.size_bytes,
        "is_current": is_current,
        "author_ref": row.author_ref,
        "cma_version_id": _remote_id(state),
        "sync_status": status.of(state),
        "created_at": row.created_at,
    }


def _credential(row: Credential, state: SyncState | None) -> JSON:
    return {
        "id": row.id,
        "agent_id": row.agent_id,
        "mcp_server_registration_id": row.server_id,
        "source": row.source,
        "number": row.number,
        "usable": bearers.is_good(row, timezone.now()),
        "sync_status": status.of(state),
        "created_at": row.created_at,
        "rotated_at": row.rotated_at,
        "expires_at": row.expires_at,
        "voided_at": row.voided_at,
        "revealed_at": row.revealed_at,
    }


def _sync(target: Target, state: SyncState | None, checks: Sequence[stops.Check]) -> JSON:
    known = state or SyncState()
    why = next((missing for _, missing in checks if missing), "")
    return {
        "explain": stops.of_sync(target, checks, state).as_json(),
        "status": status.of(state),
        "live": not why,
        "why": why,
        "waits_for": known.waits_for,
        "condition": known.condition,
        "last_error": known.last_error,
        "attempts": known.attempts,
        "next_try_at": state.due_at if state and not _rests(state) else None,
        "parked_at": known.parked_at,
        "synced_at": known.synced_at,
        "checked_at": known.checked_at,
        "drift": known.drift,
        "runtime_resource_id": _remote_id(state),
        "runtime_version": known.remote_version or None,
    }


def _rests(state: SyncState) -> bool:
    """Tell whether nothing will be tried: it is parked, or as it should be."""
    return state.parked_at is not None or status.of(state) == status.SyncStatus.SYNCED


def _remote_id(state: SyncState | None) -> str | None:
    return (state.remote_id or None) if state else None


def _can(row: Agent | Skill | Credential, actor: Actor, actions: Sequence[Action]) -> dict[str, bool]:
    return {action: not reason for action, reason in reasons_against(actor, row.target(), actions).items()}
