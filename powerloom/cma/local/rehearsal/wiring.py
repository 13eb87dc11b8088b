"""Servers and skills for an agent: which are meant, then attach, then credentials, then what there is."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any  # rows of the tools

from powerloom.cma.local.rehearsal import matching, phrases
from powerloom.cma.local.rehearsal.request import Request, Want
from powerloom.cma.local.rehearsal.work import Answer, Memory, Say, Stuck, Tool, Use, Work

Row = dict[str, Any]
LISTS = {"server": "list_mcp_servers", "skill": "list_skills"}
NOUNS = {"server": "MCP server", "skill": "skill"}


@dataclass(frozen=True)
class Parts:
    """What an agent shall get, and what is in the way of the rest: each wish with its words."""

    servers: tuple[Row, ...] = ()
    skills: tuple[Row, ...] = ()
    unclear: tuple[tuple[Want, str], ...] = ()

    def known(self, request: Request) -> Request:
        """The request without the wishes that nothing fits."""
        dropped = {want for want, _ in self.unclear}
        wants = tuple(want for want in request.wants if want not in dropped)
        return Request(**{**request.__dict__, "wants": wants})


def choose(wants: Iterable[Want], found: dict[str, list[Row]], *, where: str) -> Parts:
    """Find what is wanted among the rows that the list tools gave."""
    servers: dict[str, Row] = {}
    skills: dict[str, Row] = {}
    unclear: list[tuple[Want, str]] = []
    for want in wants:
        kinds = matching.kinds_of(want)
        fits = [(kind, row) for kind in kinds for row in matching.things(found[LISTS[kind]], want.word, where=where)]
        if len(fits) == 1:
            kind, row = fits[0]
            (servers if kind == "server" else skills)[row["id"]] = row
        else:
            unclear.append((want, _unclear(want, kinds, fits, found)))
    return Parts(tuple(servers.values()), tuple(skills.values()), tuple(unclear))


def _unclear(want: Want, kinds: Sequence[str], fits: list[tuple[str, Row]], found: dict[str, list[Row]]) -> str:
    noun = " or ".join(NOUNS[kind] for kind in kinds)
    if fits:
        places = ", ".join(f"{row['name']} in {row['ou_path']}" for _, row in fits)
        return f"“{want.word}” can be {places}."
    names = [str(row["name"]) for kind in kinds for row in found[LISTS[kind]]]
    return f"No {noun} named “{want.word}” is there, or you may not see it. I see {', '.join(names) or 'none'}."


def wire(
    agent_id: str, parts: Parts, *, made: bool, owner: str, known: Iterable[Row]
) -> Generator[Say | Use, list[Answer], Memory]:
    """Attach, mint and describe; what is refused or held is told and the rest goes on. `known` are all skills seen."""
    problems: list[str] = []
    servers = [_of("attach_mcp_server_to_agent", agent_id, "mcp_server_registration_id", row) for row in parts.servers]
    skills = [_of("attach_skill_to_agent", agent_id, "skill_id", row) for row in parts.skills]
    names = [f"Attaching {row['name']}" for row in (*parts.servers, *parts.skills)]
    attached = yield from _all(list(zip(names, (*servers, *skills), strict=True)), problems)
    minting = [
        (f"The credential for {row['name']}", _of("create_credential", agent_id, "mcp_server_registration_id", row))
        for row, is_attached in zip(parts.servers, attached, strict=False)
        if is_attached
    ]
    yield from _all(minting, problems)
    agent = yield from described(agent_id)
    by_id = {str(row["id"]): str(row["name"]) for row in known}
    heading = phrases.finished(agent, made=made, problems=problems)
    yield Say(phrases.summary(agent, heading=heading, owner=owner, skills=by_id, problems=problems))
    return Memory(agent_id=agent_id)


def described(agent_id: str) -> Generator[Say | Use, list[Answer], Row]:
    """Return one agent in full. Raises `Stuck`."""
    (answer,) = yield Use((Tool("describe_agent", {"agent_id": agent_id}),))
    agent = answer.one("agent")
    if answer.failed or not agent:
        raise Stuck(answer)
    return agent


def _of(tool: str, agent_id: str, field: str, row: Row) -> Tool:
    return Tool(tool, {"agent_id": agent_id, field: row["id"]})


def _all(calls: list[tuple[str, Tool]], problems: list[str]) -> Generator[Say | Use, list[Answer], list[bool]]:
    """Make the calls together and note what did not go through. Returns which did."""
    if not calls:
        return []
    answers = yield Use(tuple(tool for _, tool in calls))
    for (deed, _), answer in zip(calls, answers, strict=True):
        if answer.failed:
            problems.append(f"{deed}: {phrases.raw(answer)}")
        elif answer.held:
            problems.append(phrases.held(deed, answer))
    return [not answer.failed and not answer.held for answer in answers]


def attach(request: Request, agent: Row, found: dict[str, list[Row]], *, agreed: bool) -> Work:
    """Give an agent that exists what the request names."""
    parts = choose(request.wants, found, where=str(agent["ou_path"]))
    if parts.unclear and not agreed:
        yield Say("\n".join([*(words for _, words in parts.unclear), *AGAIN]))
        return Memory(parts.known(request), "wants", agent_id=agent["id"])
    return (yield from wire(agent["id"], parts, made=False, owner="", known=found["list_skills"]))


AGAIN = ("Name another one, or say “go on” to do the rest. Nothing was changed.",)
