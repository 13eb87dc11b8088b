"""What an agent may no longer do it does not go on doing, in a session that is at rest as little as in a new one."""

from django.utils import timezone

from accounts.models import Binding
from agents.commands import AttachSkill
from agents.kinds import SyncKind
from agents.spec import AttachedSkill
from sessions.models import AgentSession, SessionInput
from tests.connected import attach_server, make_server
from tests.declared import done, make_agent, make_live, make_skill
from tests.recorded import ended_session
from tests.standing import standing
from tests.world import World, api_of, bind


@standing
def session(world: World) -> AgentSession:
    """A session at rest of Bob's agent, which has a skill that Bob may use."""
    bind(world.bob, "SkillUser", world.engineering)
    agent, skill = make_agent(world.bob, world.engineering), make_skill(world.bob, world.engineering)
    done(AttachSkill(agent_id=agent.id, skill=AttachedSkill(skill_id=skill.id)), world.bob)
    make_live(agent.id, kinds={SyncKind.ENVIRONMENT})
    return ended_session(agent, world.alice)


def go_on(world: World, session: AgentSession) -> int:
    status: int = api_of(world.alice).post(f"/sessions/{session.id}/messages", {"text": "go on"}).status_code
    return status


def test_a_session_goes_on_while_everybody_may(world: World, session: AgentSession) -> None:
    assert go_on(world, session) == 200


def test_it_does_not_go_on_with_a_skill_that_the_agents_owner_lost(world: World, session: AgentSession) -> None:
    Binding.objects.filter(principal_id=world.bob.id).update(ended_at=timezone.now())
    assert go_on(world, session) == 403
    assert not SessionInput.objects.filter(session=session, sent_at__isnull=True).exists()


def test_nothing_goes_on_with_a_server_that_the_agents_owner_lost(world: World) -> None:
    right = bind(world.bob, "AgentOwner", world.sales)
    agent = make_agent(world.bob, world.engineering, "caller")
    attach_server(world.bob, agent, make_server(world.sales))
    make_live(agent.id, kinds={SyncKind.ENVIRONMENT, SyncKind.CREDENTIAL})
    session = ended_session(agent, world.alice)
    assert go_on(world, session) == 200
    right.delete()
    assert go_on(world, session) == 403
    refused = api_of(world.alice).post(f"/agents/{agent.id}/invoke", {"prompt": "Look."})
    assert (refused.status_code, refused.json()["error"]["detail"]["permission"]) == (403, "mcp_server:use")


def test_it_does_not_go_on_for_an_owner_who_is_disabled(world: World, session: AgentSession) -> None:
    assert api_of(world.alice).patch(f"/users/{world.bob.id}", {"is_active": False}).status_code == 200
    assert go_on(world, session) in {403, 409}
    assert not SessionInput.objects.filter(session=session, sent_at__isnull=True).exists()
