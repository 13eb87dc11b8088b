"""Ask the reconciler to try again, after somebody put right what had stopped it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar
from uuid import UUID

from agents import queries
from agents.actions import Action
from agents.kinds import SyncKind
from agents.models import Agent, Credential, Skill
from agents.queries.credentials import credential_for_change
from agents.queries.skills import versions_of
from agents.queries.sync import parked
from powerloom.commands.registry import Change, Command, Subject, handles
from powerloom.kernel.errors import Conflict
from powerloom.kernel.refs import Actor
from powerloom.reconcile import intents


class ResetAgentSync(Command):
    """Try an agent again from the start; its organization's environment too, if that is parked."""

    action: ClassVar[str] = Action.AGENT_RESET_SYNC
    agent_id: UUID


class ResetSkillSync(Command):
    """Try a skill, and those of its versions that are parked, again from the start."""

    action: ClassVar[str] = Action.SKILL_RESET_SYNC
    skill_id: UUID


class ResetCredentialSync(Command):
    """Push a credential's value again; its agent's vault too, if that is parked."""

    action: ClassVar[str] = Action.CREDENTIAL_RESET_SYNC
    credential_id: UUID


def load_agent(command: ResetAgentSync, actor: Actor) -> Subject:
    agent = queries.agent_for_change(actor, command.agent_id)
    return Subject(agent, agent.target())


@handles(ResetAgentSync, load=load_agent, holdable=False)
def reset_agent_sync(command: ResetAgentSync, *, subject: Subject, actor: Actor) -> Change:
    agent: Agent = subject.row
    return _reset(agent, SyncKind.AGENT, SyncKind.ENVIRONMENT, [agent.organization_id])


def load_skill(command: ResetSkillSync, actor: Actor) -> Subject:
    skill = queries.skill_for_change(actor, command.skill_id)
    return Subject(skill, skill.target())


@handles(ResetSkillSync, load=load_skill, holdable=False)
def reset_skill_sync(command: ResetSkillSync, *, subject: Subject, actor: Actor) -> Change:
    skill: Skill = subject.row
    if not versions_of(skill).exists():
        raise Conflict(f"{skill.name} has no version yet, so there is nothing to try again.")
    versions = versions_of(skill).values_list("pk", flat=True)
    return _reset(skill, SyncKind.SKILL, SyncKind.SKILL_VERSION, versions)


def load_credential(command: ResetCredentialSync, actor: Actor) -> Subject:
    credential = credential_for_change(actor, command.credential_id)
    return Subject(credential, credential.target())


@handles(ResetCredentialSync, load=load_credential, holdable=False)
def reset_credential_sync(command: ResetCredentialSync, *, subject: Subject, actor: Actor) -> Change:
    credential: Credential = subject.row
    return _reset(credential, SyncKind.CREDENTIAL, SyncKind.VAULT, [credential.agent_id])


def _reset(row: Agent | Skill | Credential, kind: SyncKind, beside: SyncKind, ids: Iterable[UUID]) -> Change:
    """Try the row again, and those beside it that are parked."""
    stopped = parked(beside, ids)
    intents.reset(kind, row.id)
    for id_ in stopped:
        intents.reset(beside, id_)
    return Change(row, None, {"reset": [kind, *[beside for _ in stopped]]})
