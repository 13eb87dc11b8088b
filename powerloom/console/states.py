"""The state words, the same here, in the API and in the CLI, each with the tone and the icon that go with it.

Color never speaks alone: a badge is icon, word and tone together. A state that is not in the table is shown as it is
stored, muted.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Badge:
    """How one state is shown. `calm` states carry no age."""

    word: str
    tone: str
    icon: str
    calm: bool = False


STATES: dict[str, dict[str, Badge]] = {
    "sync": {
        "synced": Badge("Synced", "ok", "check", calm=True),
        "pending": Badge("Pending", "busy", "circle-dashed"),
        "syncing": Badge("Syncing", "busy", "refresh-cw"),
        "waiting": Badge("Waiting", "warn", "hourglass"),
        "drifted": Badge("Drifted", "warn", "git-compare"),
        "parked": Badge("Parked", "bad", "circle-pause"),
    },
    "health": {
        "ready": Badge("Ready", "ok", "circle-check", calm=True),
        "degraded": Badge("Degraded", "warn", "triangle-alert"),
        "unreachable": Badge("Unreachable", "bad", "unplug"),
        "frozen": Badge("Frozen", "busy", "snowflake"),
    },
    "credential": {
        "good": Badge("In the vault", "ok", "check", calm=True),
        "unsynced": Badge("Not in the vault", "warn", "circle-dashed"),
        "missing": Badge("Missing", "bad", "circle-x"),
        "expired": Badge("Expired", "bad", "clock"),
        "voided": Badge("Voided", "bad", "ban"),
    },
    "server": {
        "verified": Badge("Verified", "ok", "check", calm=True),
        "unverified": Badge("Unverified", "busy", "circle-dashed"),
        "failing": Badge("Failing", "bad", "circle-alert"),
    },
    "deployment": {
        "pending": Badge("Pending", "busy", "circle-dashed"),
        "deploying": Badge("Deploying", "busy", "refresh-cw"),
        "running": Badge("Running", "ok", "check", calm=True),
        "failed": Badge("Failed", "bad", "circle-x"),
        "destroying": Badge("Destroying", "off", "trash-2"),
        "destroyed": Badge("Destroyed", "off", "trash-2", calm=True),
    },
    "tool": {
        "on": Badge("On", "ok", "check", calm=True),
        "new": Badge("New, off", "warn", "circle-dashed", calm=True),
        "changed": Badge("Changed, off", "bad", "git-compare", calm=True),
        "gone": Badge("Gone, off", "off", "circle-x", calm=True),
    },
    "call": {
        "ok": Badge("Answered", "ok", "check", calm=True),
        "error": Badge("Error", "bad", "circle-alert", calm=True),
        "denied": Badge("Denied", "warn", "ban", calm=True),
    },
    "session": {
        "pending": Badge("Pending", "busy", "circle-dashed"),
        "running": Badge("Running", "busy", "play"),
        "waiting_for_approval": Badge("Waiting for approval", "held", "hourglass"),
        "idle_end_turn": Badge("Idle", "ok", "circle-check", calm=True),
        "terminated": Badge("Terminated", "off", "circle-stop", calm=True),
        "timeout": Badge("Timed out", "warn", "timer"),
        "failed": Badge("Failed", "bad", "circle-x"),
    },
    "approval": {
        "pending": Badge("Pending", "held", "hourglass"),
        "approved": Badge("Approved", "busy", "check"),
        "applied": Badge("Applied", "ok", "circle-check", calm=True),
        "rejected": Badge("Rejected", "bad", "ban"),
        "cancelled": Badge("Cancelled", "off", "x", calm=True),
        "expired": Badge("Expired", "off", "clock", calm=True),
        "failed": Badge("Failed", "bad", "circle-x"),
    },
    "risk": {
        "high": Badge("High risk", "bad", "triangle-alert", calm=True),
        "medium": Badge("Medium risk", "warn", "info", calm=True),
        "low": Badge("Low risk", "off", "circle-dashed", calm=True),
    },
    "policy": {
        "on": Badge("On", "ok", "shield-check", calm=True),
        "off": Badge("Off", "off", "ban", calm=True),
    },
    "user": {
        "active": Badge("Active", "ok", "check", calm=True),
        "disabled": Badge("Disabled", "off", "ban", calm=True),
    },
    "token": {
        "live": Badge("Live", "ok", "check", calm=True),
        "expiring": Badge("Expiring", "warn", "clock", calm=True),
        "expired": Badge("Expired", "off", "clock", calm=True),
        "revoked": Badge("Revoked", "off", "ban", calm=True),
    },
    "webhook": {
        "on": Badge("On", "ok", "check", calm=True),
        "off": Badge("Off", "off", "circle-pause", calm=True),
        "stopped": Badge("Stopped", "bad", "circle-alert", calm=True),
    },
    "delivery": {
        "taken": Badge("Taken", "ok", "check", calm=True),
        "due": Badge("To be sent", "busy", "hourglass", calm=True),
        "given_up": Badge("Given up", "bad", "circle-x", calm=True),
    },
    "binding": {
        "allow": Badge("Allow", "ok", "check", calm=True),
        "deny": Badge("Deny", "bad", "ban", calm=True),
    },
    "decision": {
        "allowed": Badge("Allowed", "ok", "check", calm=True),
        "denied": Badge("Denied", "bad", "ban", calm=True),
        "not_found": Badge("Hidden", "bad", "ban", calm=True),
        "recorded": Badge("Recorded", "off", "check", calm=True),
    },
}


def badge(family: str, state: str) -> Badge:
    """Return how `state` of `family` is shown."""
    unknown = Badge(state.replace("_", " ").capitalize(), "off", "circle-dashed", calm=True)
    return STATES[family].get(state, unknown)
