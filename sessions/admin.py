"""The tables of sessions, for platform operators to read."""

from powerloom.web.operators import read_only
from sessions import models

read_only(models.AgentSession)
read_only(
    models.SessionEvent, models.SessionInput, models.StreamTicket, models.ToolCall, tenant="session.organization_id"
)
read_only(models.Relay, tenant="")
