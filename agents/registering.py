"""The edge of a registration: a server is talked to before a command names what was found.

A token is shown to the server during that talk and kept nowhere.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field, SecretStr

from agents import probing
from agents.handshakes import HandshakeFailed
from powerloom.kernel.errors import Invalid
from powerloom.kernel.refs import Actor

Token = Annotated[SecretStr, Field(max_length=4096)]


def discovered(url: str, actor: Actor, *, token: str) -> UUID:
    """Shake hands with the server at the URL; return the id of what was found, which a command may name.

    Raises `Invalid` saying at which step it failed, what was answered and what to do, and `TooMany`.
    """
    assert actor.organization_id is not None, "who may register belongs to an organization"
    try:
        return probing.discover(url, organization_id=actor.organization_id, token=token)
    except HandshakeFailed as failed:
        advice = "register with ?skip_validation=true to have it looked at later"
        if failed.wants_token:
            advice = f"send its token along, or {advice}, with the token of a credential"
        raise Invalid(
            f"The MCP handshake failed at {failed.step}: {failed.words}. Check the URL, or {advice}.",
            field="url",
            step=failed.step,
            answered=failed.words,
        ) from failed


def plain_token(token: SecretStr | None) -> str:
    """Return a token as text, "" without one. Raises `Invalid` for what no header carries."""
    value = token.get_secret_value() if token else ""
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise Invalid("A token is ASCII text without spaces.", field="token")
    return value
