"""What stands against an act on a session now: its state, then the actor's rights.

Words for the control that is switched off; the bus decides all the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from accounts.reasons import reasons_against
from agents.actions import Action as AgentAction
from powerloom.kernel.refs import Actor
from sessions.actions import Action
from sessions.models import ACTIVE, ENDED, AgentSession

# A message needs both: to go on with a session is to run its agent again.
ACTS: dict[str, tuple[str, ...]] = {
    "message": (Action.SESSION_MESSAGE, AgentAction.AGENT_INVOKE),
    "interrupt": (Action.SESSION_INTERRUPT,),
    "confirm": (Action.SESSION_CONFIRM,),
    "close": (Action.SESSION_CLOSE,),
    "rename": (Action.SESSION_RENAME,),
    "delete": (Action.SESSION_DELETE,),
}
ACTIONS = sorted({action for actions in ACTS.values() for action in actions})
OWN = [action for action in ACTIONS if action in set(Action)]
OVER = "This session is over. Invoke the agent again to go on."


def obstacles(actor: Actor, session: AgentSession) -> dict[str, str]:
    """Return for each act "" when nothing stands against it, else why; one query."""
    own = OWN if session.invoked_by_id == actor.id else ()
    rights = reasons_against(actor, session.target(), ACTIONS, own=own)
    states = by_state(session)
    return {act: states.get(act) or _first(rights, actions) for act, actions in ACTS.items()}


def by_state(session: AgentSession) -> dict[str, str]:
    """Return what the session's state stands against. Pure."""
    over = {"message": OVER} if session.status in ENDED else {}
    still = {"interrupt": "Nothing runs now."} if session.status not in ACTIVE else {}
    closed = {"close": "This session is closed already."} if session.closed_at is not None else {}
    return over | still | closed


def _first(rights: Mapping[str, str], actions: tuple[str, ...]) -> str:
    return next((rights[action] for action in actions if rights[action]), "")
