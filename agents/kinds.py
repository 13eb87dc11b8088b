"""The kinds of object of this app that the reconciler keeps in step with CMA, and what the object id of each is."""

from __future__ import annotations

from enum import StrEnum


class SyncKind(StrEnum):
    """In the order of their dependencies."""

    ENVIRONMENT = "environment"  # the organization's id: it has one shared environment
    SKILL = "skill"  # the skill's id; known to the reconciler from its first version on
    SKILL_VERSION = "skill_version"  # the version's id
    AGENT = "agent"  # the agent's id
    VAULT = "vault"  # the agent's id: an agent with a credential has one vault
    CREDENTIAL = "credential"  # the credential's id; CMA lists them per vault
