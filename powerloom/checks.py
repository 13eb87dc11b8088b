"""What must hold before anything serves: a missing step of the write path or a development key stops the start.

The registered checks run before every management command; a process that serves without one calls `refuse_to_start`.
"""

from __future__ import annotations

import logging
import os
from typing import Any  # Django hands over app configs

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from agents.endpoints import fleet_fault

log = logging.getLogger(__name__)

STEPS = ("authorize", "hold")
SHORTEST_KEY = 32  # characters; 48 random bytes make 64
DEVELOPMENT_KEYS = ("django-insecure-", "dev-", "development", "test", "changeme", "secret")
TAG = "powerloom"


@checks.register(TAG)
def write_path_is_whole(app_configs: Any = None, **_: Any) -> list[checks.Error]:
    """Every governed write is authorized and offered to the policies, or there is none."""
    problems = []
    for step in STEPS:
        name = settings.COMMAND_STEPS.get(step)
        try:
            is_there = name is not None and callable(import_string(name))
        except ImportError:
            is_there = False
        if not is_there:
            hint = "Restore COMMAND_STEPS in powerloom/settings.py."
            problems.append(checks.Error(f"The write path has no step to {step}.", hint=hint, id="powerloom.E001"))
    return problems


@checks.register(TAG)
def development_stays_home(app_configs: Any = None, **_: Any) -> list[checks.Error]:
    """Outside development mode there is no DEBUG and no key that others know or could guess."""
    if settings.DEV_MODE:
        return []
    problems = []
    if settings.DEBUG:
        problems.append(checks.Error("DEBUG shows internals to everyone.", hint="Switch it off.", id="powerloom.E002"))
    key = settings.SECRET_KEY
    if len(key) < SHORTEST_KEY or key.lower().startswith(DEVELOPMENT_KEYS):
        hint = f"Set POWERLOOM_SECRET_KEY to at least {SHORTEST_KEY} random characters."
        problems.append(checks.Error("The secret key is a development key.", hint=hint, id="powerloom.E003"))
    if not settings.EMBEDDED and settings.SECRET_KEY_IS_GENERATED:
        hint = "Set POWERLOOM_SECRET_KEY to the same value for all of them."
        problems.append(checks.Error("Each process would make its own secret key.", hint=hint, id="powerloom.E004"))
    return problems


@checks.register(TAG)
def fleet_is_in_reach(app_configs: Any = None, **_: Any) -> list[checks.Warning]:
    """A runtime elsewhere cannot call managed MCP servers at an address of this machine alone."""
    hint = "Agents with managed servers wait until then; all others are not concerned."
    return [checks.Warning(f"{fault}.", hint=hint, id="powerloom.W001")] if (fault := fleet_fault()) else []


def head_key_is_out_of_reach() -> list[checks.Error]:
    """Distributed, no process that serves may be able to read the key that signs the audit's heads."""
    if settings.EMBEDDED or settings.DEV_MODE or not os.access(settings.AUDIT_KEY, os.R_OK):
        return []
    hint = "Run sign_heads as a user of its own, and give the key to that user alone (mode 0600)."
    return [checks.Error("This process can read the key that signs the audit's heads.", hint=hint, id="powerloom.E005")]


def refuse_to_start() -> None:
    """Raise `ImproperlyConfigured` when a process that serves must not: web, worker, beat."""
    found = [*checks.run_checks(tags=[TAG]), *head_key_is_out_of_reach()]
    if errors := [str(one) for one in found if one.is_serious()]:
        raise ImproperlyConfigured("\n".join(errors))
    for one in found:
        log.warning("A process starts in spite of: %s", one.msg)
