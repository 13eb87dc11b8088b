"""The one action of this app; all else that a manifest does is the action of what it is about."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """What can be done to sets of manifests."""

    MANIFEST_SET_RECORD = "manifest_set:record"  # say what in an OU belongs to a set, so that the set may prune it
