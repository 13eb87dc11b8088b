"""Attach MCP servers to agents and detach them. Attaching again only changes what is named."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, ClassVar  # Any: settings are JSON
from uuid import UUID

from pydantic import field_serializer

from agents import convergence, delegating, lending, queries
from agents.actions import Action
from agents.commands.attached import Attaching, Respecified, Respecifying, write
from agents.commands.versions import use_needs
from agents.models import Agent, AgentMCPServer, MCPServer
from agents.queries.agents import attachments_of_many
from agents.queries.server_attachments import server_attachments_of_many
from agents.queries.servers import servers_for_use
from agents.spec import AttachedServer
from powerloom.commands.registry import Change, Command, Found, Need, Subject, each, handles_all
from powerloom.kernel.errors import NotFound
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor

SETTINGS = ("permission", "tools", "four_eyes")  # what an attachment says besides its agent and its server


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


def load_attaches(commands: Sequence[AttachServer], actor: Actor) -> list[Found]:
    agents = queries.agents_for_change(actor, [command.agent_id for command in commands])
    servers = servers_for_use(actor, [command.server.mcp_server_registration_id for command in commands])
    further = delegating.needs_of_many(agents.values())
    becoming: tuple[Need, ...] = ()
    if agents and any(delegating.is_meta(server) for server in servers.values()):
        becoming = (delegating.need(next(iter(agents.values())).organization_id),)
    found: list[Found] = []
    for command in commands:
        agent, server = agents.get(command.agent_id), servers.get(command.server.mcp_server_registration_id)
        if agent is None or server is None:
            found.append(NotFound())
            continue
        # What comes after Powerloom itself for the same agent needs no more: either the actor has that right, or the
        # agent does not get Powerloom.
        more = becoming if delegating.is_meta(server) else further[agent.id]
        needs = (*use_needs(agent, Action.MCP_SERVER_USE, server.target()), *more)
        found.append(Subject((agent, server), agent.target(), needs=needs))
    return found


@handles_all(AttachServer, load=load_attaches)
def attach_servers(commands: Sequence[AttachServer], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    agents = {subject.row[0].id: subject.row[0] for subject in subjects}.values()
    skills, having = attachments_of_many(agents), server_attachments_of_many(agents)
    new: dict[UUID, AgentMCPServer] = {}
    changed: dict[UUID, AgentMCPServer] = {}
    specs = Respecifying(agents)

    def attach(place: int) -> Respecified:
        agent, server = subjects[place].row
        row, others = _attached(commands[place].server, agent, server, having[agent.id])
        is_new = all(one.pk != row.pk for one in having[agent.id])
        delegating.refuse_four_eyes_among(agent, others)
        confine = is_new and delegating.is_meta(server)
        judged = specs.judged(Attaching(agent, skills[agent.id], others, (lending.SERVERS, server), confine))
        having[agent.id] = others
        (new if is_new or row.pk in new else changed)[row.pk] = row
        return judged

    judged = each(len(commands), attach)
    AgentMCPServer.objects.bulk_create(new.values())
    AgentMCPServer.objects.bulk_update(changed.values(), SETTINGS)
    convergence.attachments_changed({(row.agent_id, row.server_id) for row in new.values()})
    return write(judged, actor)


def _attached(
    said: AttachedServer, agent: Agent, server: MCPServer, having: Sequence[AgentMCPServer]
) -> tuple[AgentMCPServer, list[AgentMCPServer]]:
    """Return the row of what is attached, and all that the agent has with it."""
    settings = said.model_dump(mode="json", exclude={"mcp_server_registration_id"})
    there = next((row for row in having if row.server_id == server.id), None)
    if there is None:
        row = AgentMCPServer(id=new_id(), agent=agent, server=server, **settings)
        return row, [*having, row]
    row = copy(there)  # what was attached before it stays as the version before has it
    for name in settings.keys() & said.model_fields_set:
        setattr(row, name, settings[name])
    return row, [row if one is there else one for one in having]


def load_detaches(commands: Sequence[DetachServer], actor: Actor) -> list[Found]:
    agents = queries.agents_for_change(actor, [command.agent_id for command in commands])
    having = server_attachments_of_many(agents.values())
    there = {(row.agent_id, row.server_id): row for rows in having.values() for row in rows}
    ours = {id_: {row.pk for row in rows if delegating.is_meta(row.server)} for id_, rows in having.items()}
    further: tuple[Need, ...] = ()
    if any(ours.values()):
        further = (delegating.need(next(iter(agents.values())).organization_id),)
    found: list[Found] = []
    for command in commands:
        row = there.get((command.agent_id, command.server_id))
        if row is None:
            found.append(NotFound())
            continue
        agent = agents[command.agent_id]
        # To take Powerloom itself away only narrows; to take another server away is a change like any other.
        needs = further if ours[agent.id] and not delegating.is_meta(row.server) else ()
        ours[agent.id].discard(row.pk)
        found.append(Subject((agent, row), agent.target(), needs=needs))
    return found


@handles_all(DetachServer, load=load_detaches)
def detach_servers(commands: Sequence[DetachServer], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    agents = {subject.row[0].id: subject.row[0] for subject in subjects}.values()
    skills, having = attachments_of_many(agents), server_attachments_of_many(agents)
    rows: list[AgentMCPServer] = [subject.row[1] for subject in subjects]
    specs = Respecifying(agents)

    def detach(place: int) -> Respecified:
        agent, gone = subjects[place].row
        left = [row for row in having[agent.id] if row.pk != gone.pk]
        judged = specs.judged(Attaching(agent, skills[agent.id], left))
        having[agent.id] = left
        return judged

    judged = each(len(commands), detach, once=lambda place: rows[place].pk)
    AgentMCPServer.objects.filter(pk__in=[row.pk for row in rows]).delete()
    convergence.attachments_changed({(row.agent_id, row.server_id) for row in rows}, urgent=True)
    return write(judged, actor, urgent=True)
