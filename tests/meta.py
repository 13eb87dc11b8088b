"""Agents that use Powerloom itself, sessions in which they act for somebody, and their tools without a network."""

import json
from dataclasses import dataclass
from typing import Any

import httpx
from asgiref.sync import async_to_sync, sync_to_async
from django.test import Client
from django.utils import timezone

from accounts import delegations, session_bearers
from accounts.models import OU, Delegation, User
from agents.backends.base import Answer, Served
from agents.backends.powerloom_meta.api import Api
from agents.backends.powerloom_meta.backend import PowerloomMetaBackend
from agents.kinds import SyncKind
from agents.mcp.powerloom_meta import KIND, PowerloomMetaTemplate
from agents.mcp.template import Call
from agents.models import Agent, MCPDeployment, MCPServer
from powerloom.commands.bus import submit
from powerloom.commands.registry import Done
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from sessions.commands import InvokeAgent
from sessions.models import AgentSession, SessionInput, Status
from tests.connected import attach_server
from tests.declared import make_agent, make_live
from tests.wired import make_managed
from tests.world import actor_of

TEMPLATE = PowerloomMetaTemplate()


@dataclass(frozen=True)
class Talk:
    """A session whose turn is under way, with the bearer of its own vault."""

    session: AgentSession
    deployment: MCPDeployment
    bearer: str

    @property
    def delegation(self) -> Delegation:
        return Delegation.objects.get(session_id=self.session.pk)

    def token(self, tool: str) -> str:
        """A token as the exchange gives it."""
        return delegations.token_of(self.delegation, tool=tool)

    def call(self, tool: str, **arguments: Any) -> tuple[bool, dict[str, Any]]:
        """Call a tool as the fleet does; tells whether it was an error, and what it answered."""
        known = TEMPLATE.tool(tool)
        assert known is not None
        call = Call(tool, known.arguments.model_validate(arguments))
        answer = async_to_sync(self._answer)(call)
        if not answer.is_error:
            assert answer.structured == json.loads(answer.text), "the text says the same"
        return answer.is_error, json.loads(answer.text)

    async def _answer(self, call: Call) -> Answer:
        backend = PowerloomMetaBackend(Api(InProcess()))
        served = Served(
            self.deployment.pk,
            self.deployment.organization_id,
            self.deployment.ou_id,
            TEMPLATE.read_config({}),
            TEMPLATE.read_policy({}),
            bearer=self.bearer,
        )
        try:
            return await backend.call(served, call)
        finally:
            await backend.close()


class InProcess(httpx.AsyncBaseTransport, httpx.BaseTransport):
    """Has Django answer in this process, within the test's transaction."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await sync_to_async(self._answer)(request, await request.aread())

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._answer(request, request.read())

    def _answer(self, request: httpx.Request, content: bytes) -> httpx.Response:
        headers = {name: value for name, value in request.headers.items() if name not in {"host", "content-length"}}
        path = request.url.raw_path.decode()
        client = Client(raise_request_exception=False, headers=headers)
        answer: Any = client.generic(request.method, path, content, "application/json")
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        return httpx.Response(answer.status_code, headers=dict(answer.items()), content=body)


def make_meta_server(ou: OU, name: str = "powerloom") -> MCPServer:
    """Declare a deployment of Powerloom itself that runs, with its registration."""
    server = make_managed(ou, name)
    MCPDeployment.objects.filter(registration=server).update(template_kind=KIND)
    return MCPServer.objects.select_related("deployment").get(pk=server.pk)


def make_meta_agent(by: User, ou: OU, name: str = "powerloom-meta") -> Agent:
    """Declare an agent that uses Powerloom itself, as this user, and say that it is live."""
    agent = make_agent(by, ou, name)
    attach_server(by, agent, make_meta_server(ou, f"{name}-server"))
    make_live(agent.id, kinds={SyncKind.ENVIRONMENT, SyncKind.CREDENTIAL, SyncKind.VAULT})
    agent.refresh_from_db()
    return agent


def talk(agent: Agent, by: User | Actor, prompt: str = "What is there?") -> Talk:
    """Start a session as this user, as far as a relay brings it before its tools are called."""
    actor = by if isinstance(by, Actor) else actor_of(by)
    outcome = submit(InvokeAgent(id=new_id(), agent_id=agent.id, prompt=prompt), actor=actor)
    assert isinstance(outcome, Done)
    session: AgentSession = outcome.row
    now = timezone.now()
    AgentSession.objects.filter(pk=session.pk).update(status=Status.RUNNING, turn_started_at=now)
    SessionInput.objects.filter(session=session).update(attempted_at=now, sent_at=now)
    session.refresh_from_db()
    bearer, bearer_hash = session_bearers.mint()
    Delegation.objects.filter(session_id=session.pk).update(bearer_hash=bearer_hash)
    deployment = MCPDeployment.objects.get(registration__attachments__agent=agent, template_kind=KIND)
    return Talk(session, deployment, bearer)
