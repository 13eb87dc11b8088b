"""Make an old version of an agent the newest one."""

from __future__ import annotations

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from agents import convergence, delegating, queries
from agents.actions import Action
from agents.commands.attached import put_back
from agents.commands.versions import next_version, use_needs
from agents.models import AgentMCPServer
from agents.queries.agents import version_of
from agents.queries.servers import servers_for_use
from agents.queries.skills import skills_for_use
from agents.spec import AgentSpec
from powerloom.commands.registry import Change, Command, Subject, handles
from powerloom.kernel.errors import Conflict
from powerloom.kernel.refs import Actor

MAX_NUMBER = 2**31 - 1


class RestoreAgent(Command):
    """Make an old version's whole spec, attachments included, the newest version.

    Needs `skill:use` and `mcp_server:use` of the actor and of the agent's principal for everything that comes with it,
    and `agent:delegate` where Powerloom itself is attached, now or then.
    """

    action: ClassVar[str] = Action.AGENT_RESTORE
    agent_id: UUID
    number: Annotated[int, Field(ge=0, le=MAX_NUMBER)]


def load_restore(command: RestoreAgent, actor: Actor) -> Subject:
    agent = queries.agent_for_change(actor, command.agent_id)
    spec = AgentSpec.model_validate(version_of(agent, command.number).spec)
    skills, servers = skills_for_use(actor, spec.skill_ids()), servers_for_use(actor, spec.server_ids())
    needs = [use_needs(agent, Action.SKILL_USE, skill.target()) for skill in skills.values()]
    needs += [use_needs(agent, Action.MCP_SERVER_USE, server.target()) for server in servers.values()]
    further = delegating.needs(agent, becomes=bool(delegating.meta_servers(spec.server_ids())))
    return Subject(
        (agent, spec, {**skills, **servers}),
        agent.target(),
        needs=(*(need for pair in needs for need in pair), *further),
    )


@handles(RestoreAgent, load=load_restore)
def restore_agent(command: RestoreAgent, *, subject: Subject, actor: Actor) -> Change:
    agent, spec, there = subject.row
    for word, ids in (("a skill", spec.skill_ids()), ("an MCP server", spec.server_ids())):
        if set(ids) - there.keys():
            raise Conflict(f"Version {command.number} has {word} that is archived, or that you cannot see.")
    before = set(AgentMCPServer.objects.filter(agent=agent).values_list("server_id", flat=True))
    put_back(agent, spec)
    delegating.refuse_four_eyes(agent)
    gone, come = before - set(spec.server_ids()), set(spec.server_ids()) - before
    convergence.attachments_changed([(agent.id, server) for server in gone], urgent=True)
    convergence.attachments_changed([(agent.id, server) for server in come])
    return next_version(agent, spec, actor=actor, restored_from=command.number)
