"""Attach MCP servers to agents and detach them. Attaching again only changes what is named."""

from __future__ import annotations

from typing import Any, ClassVar  # Any: settings are JSON
from uuid import UUID

from pydantic import field_serializer

from agents import convergence, delegating, lending, queries
from agents.actions import Action
from agents.commands.attached import respecified
from agents.commands.versions import use_needs
from agents.models import AgentMCPServer
from agents.queries.server_attachments import server_attachment_of, server_for_use
from agents.spec import AttachedServer
from powerloom.commands.registry import Change, Command, Subject, handles
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor


class AttachServer(Command):
    """Give an agent an MCP server. Needs `mcp_server:use` of the actor and of the agent's principal, and
    `agent:delegate` where the server is Powerloom itself; that one switches off what reaches out of an agent.

    Attaching again changes the settings that are named and leaves the others, so that nothing is widened by omission.
    """

    action: ClassVar[str] = Action.AGENT_ATTACH_MCP_SERVER
    agent_id: UUID
    server: AttachedServer

    @field_serializer("server")
    def _only_named(self, server: AttachedServer) -> dict[str, Any]:
        """So that a stored command still knows what was named and what was not."""
        whole = server.model_dump(mode="json")
        return {name: whole[name] for name in whole if name in server.model_fields_set}


class DetachServer(Command):
    """Take an MCP server away from an agent. Its credential leaves the vault; it stays here until it is deleted."""

    action: ClassVar[str] = Action.AGENT_DETACH_MCP_SERVER
    agent_id: UUID
    server_id: UUID


def load_attach(command: AttachServer, actor: Actor) -> Subject:
    agent = queries.agent_for_change(actor, command.agent_id)
    server = server_for_use(actor, command.server.mcp_server_registration_id)
    needs = use_needs(agent, Action.MCP_SERVER_USE, server.target())
    further = delegating.needs(agent, becomes=delegating.is_meta(server))
    return Subject((agent, server), agent.target(), needs=(*needs, *further))


@handles(AttachServer, load=load_attach)
def attach_server(command: AttachServer, *, subject: Subject, actor: Actor) -> Change:
    agent, server = subject.row
    settings = command.server.model_dump(mode="json", exclude={"mcp_server_registration_id"})
    named = {name: value for name, value in settings.items() if name in command.server.model_fields_set}
    _, is_new = AgentMCPServer.objects.update_or_create(
        agent=agent, server=server, defaults=named, create_defaults={"id": new_id(), **settings}
    )
    delegating.refuse_four_eyes(agent)
    if is_new:
        convergence.attachments_changed([(agent.id, server.id)])
    confine = is_new and delegating.is_meta(server)
    return respecified(agent, actor, lent=(lending.SERVERS, server), confine=confine)


def load_detach(command: DetachServer, actor: Actor) -> Subject:
    agent = queries.agent_for_change(actor, command.agent_id)
    attachment = server_attachment_of(agent, command.server_id)
    # To take Powerloom itself away only narrows; to take another server away is a change like any other.
    further = () if delegating.meta_servers([command.server_id]) else delegating.needs(agent)
    return Subject((agent, attachment), agent.target(), needs=further)


@handles(DetachServer, load=load_detach)
def detach_server(command: DetachServer, *, subject: Subject, actor: Actor) -> Change:
    agent, attachment = subject.row
    attachment.delete()
    convergence.attachments_changed([(agent.id, command.server_id)], urgent=True)
    return respecified(agent, actor, urgent=True)
