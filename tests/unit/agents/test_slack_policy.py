"""What the policy of `slack` says of a call, and which channel one of its words means."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.mcp.slack import (
    Facts,
    HistoryArguments,
    ListArguments,
    PostArguments,
    SlackConfig,
    SlackPolicy,
    SlackTemplate,
    admits,
)
from agents.mcp.template import Allow, Call, Deny, SecretReference, Settings

SLACK = SlackTemplate()
CONFIG = SlackConfig(token_secret="slack")
POLICY = SlackPolicy(allowed_channels=["#general", "C0123456789"])
NAMES = {ListArguments: "list_channels", HistoryArguments: "read_history", PostArguments: "post_message"}


def rule_of(arguments: Settings, policy: SlackPolicy = POLICY) -> str:
    decision = SLACK.decide(Call(NAMES[type(arguments)], arguments), CONFIG, policy)
    return decision.rule if isinstance(decision, Deny) else "allowed"


@pytest.mark.parametrize("channel", ["general", "#general", "C0123456789", "#C0123456789"])
def test_a_channel_of_the_policy_is_read_and_written(channel: str) -> None:
    assert rule_of(HistoryArguments(channel=channel)) == "allowed"
    assert rule_of(PostArguments(channel=channel, text="Hello")) == "allowed"


@pytest.mark.parametrize(
    "channel",
    [
        "random",
        "##general",
        "General",
        "GENERAL",
        "general ",
        " general",
        "general\n",
        "general\x00",
        "g\u0435neral",
        "general-2",
        "genera",
        "c0123456789",
        "C012345678",
        "C01234567890",
        "D0123456789",
        "U0123456789",
        "@general",
        "<#C0123456789>",
        "general,random",
        "*",
        "C0123456789&channel=C9",
        "../general",
    ],
    ids=ascii,
)
def test_any_other_channel_is_denied(channel: str) -> None:
    for arguments in (HistoryArguments(channel=channel), PostArguments(channel=channel, text="Hello")):
        assert rule_of(arguments) == "allowed_channels"


def test_without_allowed_channels_there_are_none() -> None:
    assert rule_of(HistoryArguments(channel="general"), SlackPolicy()) == "allowed_channels"
    assert rule_of(ListArguments(), SlackPolicy()) == "allowed"


def test_posting_can_be_closed() -> None:
    policy = SlackPolicy(allowed_channels=["general"], allow_posting=False)
    assert rule_of(PostArguments(channel="general", text="x"), policy) == "allow_posting"
    assert rule_of(HistoryArguments(channel="general"), policy) == "allowed"


@pytest.mark.parametrize("text", ["<!channel> look", "<!here>", "a <!everyone|all>", "<!CHANNEL>", "<!subteam^S1>"])
def test_nobody_calls_everybody_unless_the_policy_says_so(text: str) -> None:
    arguments = PostArguments(channel="general", text=text)
    assert rule_of(arguments) == "allow_broadcasts"
    assert rule_of(arguments, SlackPolicy(allowed_channels=["general"], allow_broadcasts=True)) == "allowed"


@pytest.mark.parametrize(
    "word", ["", "#", "General", "a b", "D0123456789", "U0123456789", "*", "a,b", "@bob", "C012", "x" * 82]
)
def test_a_policy_names_channels_or_is_refused(word: str) -> None:
    with pytest.raises(ValidationError):
        SlackPolicy(allowed_channels=[word])


@pytest.mark.parametrize(
    ("word", "facts", "is_meant"),
    [
        ("general", Facts("C0000001", "general"), True),
        ("general", Facts("C0000001", "renamed"), False),
        ("general", Facts("C0000001", "general", is_private=True), False),
        ("general", Facts("C0000001", "general", is_archived=True), False),
        ("general", Facts("C0000001", "general", is_conversation=True), False),
        ("C0000001", Facts("C0000001", "whatever"), True),
        ("C0000001", Facts("C0000001", "secret", is_private=True), True),
        ("C0000001", Facts("C0000002", "C0000001"), False),
        ("C0000001", Facts("C0000001", "general", is_archived=True), False),
        ("G0000001", Facts("G0000001", "mpdm", is_private=True, is_conversation=True), False),
    ],
)
def test_a_word_means_a_channel_as_it_is_now(word: str, facts: Facts, is_meant: bool) -> None:
    assert admits(word, facts) is is_meant


@given(channel=st.text(min_size=1, max_size=20))
def test_what_is_allowed_is_a_word_of_the_policy(channel: str) -> None:
    decision = SLACK.decide(Call("read_history", HistoryArguments(channel=channel)), CONFIG, POLICY)
    assert isinstance(decision, Allow) == (channel.removeprefix("#") in {"general", "C0123456789"})


def test_the_config_names_a_secret_of_its_kind() -> None:
    assert SLACK.secrets(CONFIG) == (SecretReference("token_secret", "slack", "slack_token"),)


@pytest.mark.parametrize(
    "posted", [{}, {"token": "xoxb"}, {"token_secret": "A b"}, {"token_secret": "a", "url": "http://x"}]
)
def test_a_config_without_a_secret_or_with_an_address_is_refused(posted: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SLACK.read_config(posted)
