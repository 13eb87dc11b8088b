"""The course of one tool call, from its arguments to its answer.

    known tool → valid arguments → rate → policy → backend, within its time → answer, within its size → log → client

Wherever it ends, it is logged before the client hears of it, in words that hold no argument and no result. What is
refused is an error of the tool that names the rule, not of the transport: that is what a model reads and can act upon,
while an HTTP status looks to CMA as if the server were gone.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import dataclass, replace
from typing import Any  # arguments as they came, config and policy types that differ by template

from django.utils import timezone
from pydantic import ValidationError

from agents.backends.base import Answer, Backend, Served, Unfit
from agents.fleet.admission import Admitted
from agents.fleet.journal import Journal
from agents.fleet.rates import Rates
from agents.mcp.catalog import TEMPLATES
from agents.mcp.powerloom_meta import KIND
from agents.mcp.template import Call, Deny, Template
from agents.models import CallOutcome, MCPCall
from agents.serving import served
from powerloom.web.threads import DatabaseThreads

log = logging.getLogger(__name__)

CALL_SECONDS = 60.0
MOST_RESULT = 2 * 1024 * 1024  # characters of text and JSON
MOST_PROBLEMS = 10


@dataclass(frozen=True)
class Ended:
    """How a call ended: what the client gets, and what the log says of it."""

    answer: Answer
    outcome: CallOutcome
    rule: str = ""
    words: str = ""


class UnknownTool(Exception):
    """The template has no tool of this name."""


@dataclass(frozen=True)
class Desk:
    """What calls need of their process."""

    threads: DatabaseThreads
    journal: Journal
    rates: Rates
    backends: dict[str, Backend[Any, Any]]
    seconds: float

    async def call(self, admitted: Admitted, name: str, arguments: dict[str, Any]) -> Answer:
        """Run a call to its end, log it and return what it answers. Raises `UnknownTool`, logged too, and what the
        database raises when it cannot be logged: then nobody gets the answer.
        """
        began = time.perf_counter()
        template = TEMPLATES[admitted.deployment.template_kind]
        tool = template.tool(name)
        if tool is None:
            ended = _failed("There is no such tool.")
        elif admitted.is_probe:
            ended = _denied("probe", "A probe may not call tools.")
        elif template.kind == KIND and not admitted.bearer:
            ended = _denied("delegation", "Only a session that was started with this server may call its tools.")
        else:
            ended = await self._ended(admitted, template, name, arguments)
        await self.journal.write(_row(admitted, tool.name if tool else "", ended, began))
        if tool is None:
            raise UnknownTool
        return ended.answer

    async def _ended(
        self, admitted: Admitted, template: Template[Any, Any], name: str, arguments: dict[str, Any]
    ) -> Ended:
        deployment, tool = admitted.deployment, template.tool(name)
        assert tool is not None, "asked before"
        try:
            call = Call(name, tool.arguments.model_validate(arguments))
        except ValidationError as error:
            return _failed("The arguments are not valid.", f"The arguments are not valid. {_problems(error)}")
        try:
            policy = template.read_policy(deployment.policy)
            if seconds := await self.rates.take(deployment.pk, policy.calls_per_minute):
                reason = f"This server takes no more calls this minute. Try again in {seconds} seconds."
                return _denied("calls_per_minute", reason)
            # Off the loop: a policy may have to parse what it judges, and the secrets come from the database.
            decided = await self.threads.run(_decide, template, admitted, call)
        except ValidationError:
            return _unfit("policy", "The policy of this deployment is not valid any more.")
        except Unfit as error:
            return _unfit(error.step, error.words)
        if isinstance(decided, Deny):
            return _denied(decided.rule, decided.reason)
        return await self._run(decided, deployment.template_kind, call)

    async def _run(self, to: Served[Any, Any], kind: str, call: Call) -> Ended:
        try:
            async with asyncio.timeout(self.seconds):
                answer = await self.backends[kind].call(to, call)
        except TimeoutError:
            return _failed(f"The tool took longer than {self.seconds:g} seconds.")
        except Unfit as error:
            return _unfit(error.step, error.words)
        except Exception as error:  # noqa: BLE001  whatever a backend raises ends this call, not the process
            # A client that held a secret may print it, so only the class is told.
            why = type(error).__name__
            log.warning("A tool failed", extra={"kind": kind, "tool": call.tool, "error_class": why})
            return _failed(f"The tool failed: {why}.")
        size = len(answer.text) + (len(json.dumps(answer.structured)) if answer.structured else 0)
        if size > MOST_RESULT:
            return _failed(f"The tool answered more than {MOST_RESULT} characters. Ask for less.")
        if answer.is_error:
            return Ended(answer, CallOutcome.ERROR, words="The tool answered with an error.")
        return Ended(answer, CallOutcome.OK)


def _decide(template: Template[Any, Any], admitted: Admitted, call: Call) -> Served[Any, Any] | Deny:
    to = replace(served(admitted.deployment), bearer=admitted.bearer)
    decision = template.decide(call, to.config, to.policy)
    return decision if isinstance(decision, Deny) else to


def _row(admitted: Admitted, tool: str, ended: Ended, began: float) -> MCPCall:
    deployment = admitted.deployment
    return MCPCall(
        organization_id=deployment.organization_id,
        deployment_id=deployment.pk,
        agent_id=admitted.agent_id,
        credential_id=admitted.credential_id,
        session_id=admitted.session_id,
        tried_by_id=admitted.tried_by_id,
        tool=tool,
        outcome=ended.outcome,
        rule=ended.rule,
        words=ended.words[:500],
        milliseconds=round((time.perf_counter() - began) * 1000),
        created_at=timezone.now(),
    )


def _failed(words: str, told: str = "") -> Ended:
    return Ended(Answer(told or words, is_error=True), CallOutcome.ERROR, words=words)


def _denied(rule: str, reason: str) -> Ended:
    # The reason may quote the arguments, so it is told to the caller and not to the log.
    return Ended(Answer(f"Denied by the rule {rule}: {reason}", is_error=True), CallOutcome.DENIED, rule=rule)


def _unfit(step: str, words: str) -> Ended:
    told = f"This server cannot work as it is: {words}"
    return Ended(Answer(told, is_error=True), CallOutcome.ERROR, words=f"{step}: {words}")


def _problems(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    told = [f"{'.'.join(map(str, one['loc'])) or 'arguments'}: {one['msg']}" for one in found[:MOST_PROBLEMS]]
    return "; ".join(told)
