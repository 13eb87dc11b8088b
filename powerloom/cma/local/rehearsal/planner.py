"""What one message of a person leads to, by what it asks and what the conversation remembers."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any  # rows of the tools
from uuid import UUID

from powerloom.cma.local.rehearsal import matching, phrases
from powerloom.cma.local.rehearsal.making import create
from powerloom.cma.local.rehearsal.request import Request, folded, understand
from powerloom.cma.local.rehearsal.wiring import attach, described
from powerloom.cma.local.rehearsal.words import IT
from powerloom.cma.local.rehearsal.work import Answer, Memory, Say, Stuck, Tool, Use, Work, listing, look

Row = dict[str, Any]

LISTED = {
    "agents": "list_agents",
    "servers": "list_mcp_servers",
    "skills": "list_skills",
    "users": "list_users",
    "ous": "list_ous",
}
USUAL = ("agents", "servers", "skills")


def work_on(text: str, memory: Memory) -> Work:
    """Do what a message asks. Whatever refuses what the work needs is told as it came, and ends the turn."""
    try:
        return (yield from _work(text, memory))
    except Stuck as stuck:
        yield Say(phrases.raw(stuck.answer))
        return memory


def _work(text: str, memory: Memory) -> Work:
    request = understand(text)
    agreed = request.verb == "go_on"
    if memory.asked is not None:
        request = folded(memory.asked, text, SLOTS.get(memory.question, "")) or request
    match request.verb:
        case "create":
            return (yield from create(request, agreed=agreed))
        case "attach" | "credential":
            return (yield from _attach(request, memory, agreed=agreed))
        case "list":
            return (yield from _list(request, memory))
        case "describe":
            return (yield from _describe(request, memory))
        case "go_on":
            yield Say("Nothing waits to be gone on with. Tell me what you need.")
            return memory
    yield Say(phrases.unknown())
    return memory


SLOTS = {"where": "where", "wants": "wants", "owner": "owner", "name": "name", "agent": "to"}
"""What a bare answer to each question is taken for."""


def _attach(request: Request, memory: Memory, *, agreed: bool) -> Work:
    yield Say("Let me check the current state.")
    agent = yield from _agent(request, memory)
    if agent is None:
        return replace(memory, asked=replace(request, agent=""), question="agent")
    found = yield from look(listing("list_mcp_servers"), listing("list_skills"))
    return (yield from attach(replace(request, agent=agent["id"]), agent, found, agreed=agreed))


def _agent(request: Request, memory: Memory) -> Generator[Say | Use, list[Answer], Row | None]:
    """Find the agent that is talked of. None, and it was told, when that is not one."""
    named = request.agent
    if named.lower() in {"", *IT}:
        named = memory.agent_id
    if not named:
        yield Say("Which agent is it? Give me its name or ID.")
        return None
    if _is_id(named):
        return (yield from described(named))
    found = (yield from look(listing("list_agents", name=named.lower())))["list_agents"]
    if request.where:
        found = [row for row in found if row["ou_path"] == request.where] or found
    if len(found) != 1:
        places = ", ".join(f"{row['ou_path']} (ID {row['id']})" for row in found)
        several = f"There are several agents named {named}: {places}. Which ID?"
        yield Say(several if found else f"No agent named {named} is there, or you may not see it. Which one is it?")
        return None
    return found[0]


def _list(request: Request, memory: Memory) -> Work:
    path = ""
    if request.where:
        ous = matching.flat((yield from look(listing("list_ous")))["list_ous"])
        places = matching.units(ous, request.where)
        if len(places) != 1:
            yield Say(phrases.where(ous, said=request.where, home=""))
            return replace(memory, asked=replace(request, where=""), question="where")
        path = str(places[0]["path"])
    found = yield from look(*(listing(LISTED[kind]) for kind in request.kinds or USUAL))
    if "list_ous" in found:
        found["list_ous"] = matching.flat(found["list_ous"])
    if path:
        found = {kind: matching.below(rows, path, KEYS.get(kind, "ou_path")) for kind, rows in found.items()}
    yield Say(phrases.inventory(found, path))
    is_answered = memory.asked is not None and memory.asked.verb == "list"
    return Memory(agent_id=memory.agent_id) if is_answered else memory


KEYS = {"list_users": "home_ou_path", "list_ous": "path"}


def _describe(request: Request, memory: Memory) -> Work:
    if request.owner:
        (answer,) = yield Use((Tool("describe_user", {"email": request.owner}),))
        if answer.failed:
            raise Stuck(answer)
        yield Say(phrases.user(answer.one("user")))
        return memory
    agent = yield from _agent(request, memory)
    if agent is None:
        return replace(memory, asked=replace(request, agent=""), question="agent")
    if "sync" not in agent:  # a row of a list
        agent = yield from described(agent["id"])
    skills = (yield from look(listing("list_skills")))["list_skills"] if agent.get("skills") else []
    names = {str(row["id"]): str(row["name"]) for row in skills}
    heading = f"Agent {agent['name']} in {agent['ou_path']}:"
    yield Say(phrases.summary(agent, heading=heading, owner="", skills=names))
    return Memory(agent_id=agent["id"])


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
