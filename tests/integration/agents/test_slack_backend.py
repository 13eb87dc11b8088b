"""Deployments of `slack` against a real HTTP server that answers as Slack does."""

import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from agents.backends import slack_api
from agents.backends.base import Answer, Served, Unfit
from agents.backends.slack import SlackBackend
from agents.mcp.catalog import TEMPLATES
from agents.mcp.slack import SlackConfig, SlackPolicy
from agents.mcp.template import Call
from powerloom.kernel.ids import new_id
from tests.slack import TOKEN, SlackServer, channel, slack_server

pytestmark = pytest.mark.once

DEPLOYMENT = new_id()
GENERAL, RANDOM, SECRET, BOARD = "C0000001", "C0000002", "C0000003", "C0000004"

Of = Served[SlackConfig, SlackPolicy]


@pytest.fixture(scope="module")
def server() -> Iterator[SlackServer]:
    with slack_server() as slack:
        yield slack


@pytest.fixture
def slack(server: SlackServer, settings: Any) -> SlackServer:
    """A workspace of two public channels and two private ones."""
    settings.SLACK_URL = server.url
    for kept in (server.channels, server.messages, server.said, server.faults):
        kept.clear()
    for made in (
        channel(RANDOM, "random"),
        channel(SECRET, "secret", is_private=True),
        channel(GENERAL, "general"),
        channel(BOARD, "board", is_private=True),
    ):
        server.channels[made["id"]] = made
    return server


@pytest_asyncio.fixture
async def backend(slack: SlackServer) -> AsyncIterator[SlackBackend]:
    backend = SlackBackend()
    yield backend
    await backend.close()


def served(*channels: str, token: str = TOKEN, deployment_id: UUID = DEPLOYMENT, **policy: Any) -> Of:
    template = TEMPLATES["slack"]
    config = template.read_config({"token_secret": "slack"})
    read = template.read_policy({"allowed_channels": list(channels), **policy})
    return Served(deployment_id, new_id(), new_id(), config, read, {"token_secret": token})


async def call(backend: SlackBackend, of: Of, name: str, **arguments: Any) -> Answer:
    tool = TEMPLATES["slack"].tool(name)
    assert tool
    answer = await backend.call(of, Call(name, tool.arguments(**arguments)))
    assert TOKEN not in repr(answer)
    if tool.result and not answer.is_error:
        assert answer.structured == tool.result.model_validate(answer.structured).model_dump(mode="json")
    return answer


async def test_only_allowed_channels_are_listed(backend: SlackBackend) -> None:
    answer = await call(backend, served("general", SECRET, "absent"), "list_channels")
    assert answer.structured
    assert [found["name"] for found in answer.structured["channels"]] == ["general", "secret"]
    assert "absent" in answer.text
    assert "random" not in answer.text
    assert "board" not in answer.text
    assert (await call(backend, served(), "list_channels")).text == "No channel."


async def test_history_is_read_newest_first_and_in_pages(backend: SlackBackend, slack: SlackServer) -> None:
    slack.messages[GENERAL] = [{"ts": f"1700000{n}.000100", "user": "U1", "text": f"message {n}"} for n in range(5)]
    of = served("general", max_messages=3)
    first = await call(backend, of, "read_history", channel="#general")
    assert first.structured
    assert [message["text"] for message in first.structured["messages"]] == ["message 4", "message 3", "message 2"]
    rest = await call(backend, of, "read_history", channel="general", before=first.structured["next_before"])
    assert rest.structured
    assert [message["text"] for message in rest.structured["messages"]] == ["message 1", "message 0"]
    assert rest.structured["next_before"] is None
    newer = await call(backend, of, "read_history", channel="general", after="17000003.000100")
    assert "message 4" in newer.text
    assert "message 3" not in newer.text


async def test_a_message_is_posted_by_id_and_in_a_thread(backend: SlackBackend, slack: SlackServer) -> None:
    of = served("general")
    answer = await call(backend, of, "post_message", channel="general", text="Hello", thread_ts="1700000000.000100")
    assert answer.text.startswith("Posted in general at ")
    [said] = slack.asked("chat.postMessage")
    assert said.params == {
        "channel": GENERAL,
        "text": "Hello",
        "thread_ts": "1700000000.000100",
        "unfurl_links": False,
        "unfurl_media": False,
    }


async def test_a_private_channel_is_used_by_its_id_alone(backend: SlackBackend, slack: SlackServer) -> None:
    slack.messages[SECRET] = [{"ts": "17000000.000100", "user": "U1", "text": "hush"}]
    assert "hush" in (await call(backend, served(SECRET), "read_history", channel=SECRET)).text
    answer = await call(backend, served("secret"), "read_history", channel="secret")
    assert answer.is_error
    assert "hush" not in answer.text


async def test_a_private_channel_that_takes_an_allowed_name_is_not_it(
    backend: SlackBackend, slack: SlackServer
) -> None:
    of = served("general")
    assert not (await call(backend, of, "read_history", channel="general")).is_error
    slack.channels[GENERAL]["name"] = "old-general"
    slack.channels[SECRET]["name"] = "general"
    slack.said.clear()
    for name, more in (("read_history", {}), ("post_message", {"text": "x"})):
        answer = await call(backend, of, name, channel="general", **more)
        assert answer.is_error
        assert "allowed_channels" in answer.text
    assert not slack.asked("conversations.history")
    assert not slack.asked("chat.postMessage")


async def test_a_name_means_the_public_channel_that_has_it_now(backend: SlackBackend, slack: SlackServer) -> None:
    of = served("general")
    await call(backend, of, "post_message", channel="general", text="one")
    slack.channels[GENERAL]["name"], slack.channels[RANDOM]["name"] = "random", "general"
    await call(backend, of, "post_message", channel="general", text="two")
    slack.channels[RANDOM]["is_private"] = True
    assert (await call(backend, of, "post_message", channel="general", text="three")).is_error
    assert [said.params["channel"] for said in slack.asked("chat.postMessage")] == [GENERAL, RANDOM]


async def test_a_known_name_is_not_looked_for_again(backend: SlackBackend, slack: SlackServer) -> None:
    for _ in range(3):
        await call(backend, served("general"), "read_history", channel="general")
    assert len(slack.asked("conversations.list")) == 1
    assert len(slack.asked("conversations.info")) == 2


@pytest.mark.parametrize("facts", [{"is_archived": True}, {"is_im": True}, {"is_mpim": True}])
async def test_archived_channels_and_conversations_of_people_are_not_used(
    backend: SlackBackend, slack: SlackServer, facts: dict[str, bool]
) -> None:
    slack.channels[GENERAL] |= facts
    for word in ("general", GENERAL):
        assert (await call(backend, served(word), "read_history", channel=word)).is_error
    assert not slack.asked("conversations.history")


async def test_more_channels_than_are_looked_through_ask_for_an_id(backend: SlackBackend, slack: SlackServer) -> None:
    for number in range(30):
        slack.channels[f"C1{number:06}"] = channel(f"C1{number:06}", f"other-{number}")
    answer = await call(backend, served("nowhere"), "read_history", channel="nowhere")
    assert "by its id" in answer.text
    assert len(slack.asked("conversations.list")) == 10


# --- When Slack says no


async def test_it_waits_as_long_as_slack_asks_and_goes_on(backend: SlackBackend, slack: SlackServer) -> None:
    slack.once("chat.postMessage", status=429, headers={"Retry-After": "1"})
    answer = await call(backend, served(GENERAL), "post_message", channel=GENERAL, text="Hello")
    assert not answer.is_error
    assert len(slack.asked("chat.postMessage")) == 2
    assert len(slack.messages[GENERAL]) == 1


async def test_it_does_not_wait_longer_than_it_may(backend: SlackBackend, slack: SlackServer) -> None:
    slack.once("conversations.info", status=429, headers={"Retry-After": "30"})
    answer = await call(backend, served(GENERAL), "read_history", channel=GENERAL)
    assert (answer.text, answer.is_error) == ("Slack is being asked too often. Try again in 30 s.", True)


async def test_waits_add_up(backend: SlackBackend, slack: SlackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slack_api, "MOST_WAITING", 1.5)
    for _ in range(2):
        slack.once("conversations.info", status=429, headers={"Retry-After": "0"})
    assert "Try again in 1 s" in (await call(backend, served(GENERAL), "read_history", channel=GENERAL)).text


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"error": "invalid_auth"}, "does not know the token"),
        ({"error": "token_revoked"}, "was revoked"),
        ({"error": "missing_scope"}, "lacks a scope"),
        ({"error": "not_in_channel"}, "invite it"),
        ({"error": f"strange_{TOKEN}"}, "an error that is not known here"),
        ({"status": 500, "body": TOKEN.encode()}, "status 500"),
        ({"status": 302, "headers": {"Location": "http://127.0.0.1:9/"}}, "status 302"),
        ({"body": b"<html>" + TOKEN.encode()}, "cannot be read"),
        ({"body": b"[]"}, "cannot be read"),
        ({"body": b"x" * (5 * 1024 * 1024)}, "too long"),
        ({"drop": True}, "could not be reached"),
    ],
)
async def test_what_slack_refuses_is_said_in_fixed_words(
    backend: SlackBackend, slack: SlackServer, fault: dict[str, Any], words: str
) -> None:
    slack.once("conversations.history", **fault)
    answer = await call(backend, served(GENERAL), "read_history", channel=GENERAL)
    assert answer.is_error
    assert words in answer.text


async def test_a_server_that_is_not_there_is_said_in_fixed_words(backend: SlackBackend, settings: Any) -> None:
    settings.SLACK_URL = "http://127.0.0.1:9/api"
    answer = await call(backend, served(GENERAL), "read_history", channel=GENERAL)
    assert answer.text == "Slack could not be reached."


# --- Deploying


async def test_deploying_tries_the_token_and_the_channels(backend: SlackBackend) -> None:
    assert await backend.check(served("general", SECRET)) == []
    assert await backend.check(served("absent", "secret", "C9999999")) == [
        f"allowed_channels: {word} is no channel that this token can use." for word in ("absent", "secret", "C9999999")
    ]
    assert await backend.check(served()) == ["The policy allows no channel: name some in allowed_channels."]


@pytest.mark.parametrize(
    "token", ["xoxb-wrong-token", "", "short", "with space in it", f"{TOKEN}\r\nx-evil: 1", "xoxb-ü-tökén"]
)
async def test_a_token_that_slack_does_not_take_fails_the_deployment(backend: SlackBackend, token: str) -> None:
    with pytest.raises(Unfit, match=r"slack: .*token") as unfit:
        await backend.check(served("general", token=token))
    assert unfit.value.__cause__ is None
    assert not token or token not in str(unfit.value)


async def test_the_token_is_in_no_answer_log_or_repr(
    backend: SlackBackend, slack: SlackServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    of = served("general")
    slack.messages[GENERAL] = [{"ts": "17000000.000100", "user": "U1", "text": f"our token is {TOKEN}"}]
    answer = await call(backend, of, "read_history", channel="general")
    assert "our token is [token]" in answer.text
    slack.once("conversations.info", drop=True)
    await call(backend, of, "read_history", channel="general")
    assert slack.said
    assert all(said.token == TOKEN for said in slack.said)
    assert TOKEN not in caplog.text
    assert TOKEN not in repr(of)
    assert TOKEN not in repr(vars(backend))
