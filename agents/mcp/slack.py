"""Slack: the channels that a policy names, read and written with the token of a Slack app.

A channel is named by its id, which never changes, or by its name, which people change. An id means that channel,
private or not. A name means the public channel that has it at the moment of the call: one that was renamed or made
private since is not it any more. Callers name a channel in the words of the policy, so that the decision needs nobody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, Field

from agents.mcp.template import (
    Allow,
    Call,
    Decision,
    Deny,
    Policy,
    SecretName,
    SecretReference,
    Settings,
    Template,
    Tool,
)

TOKEN = "slack_token"  # noqa: S105 - the kind of a secret, not one
ID = re.compile(r"[CG][A-Z0-9]{7,20}")  # no D: a conversation between people is not a channel
NAME = re.compile(r"[\w-]{1,80}")  # of any script, without capitals
BROADCAST = re.compile(r"<!\s*(?:channel|here|everyone|subteam)", re.IGNORECASE)


def _a_channel(word: str) -> str:
    name = word.removeprefix("#")
    if not (ID.fullmatch(word) or (NAME.fullmatch(name) and name == name.lower())):
        raise ValueError("a channel is its id, as C0123456789, or its name in lower case")
    return name


Channel = Annotated[str, Field(max_length=81), AfterValidator(_a_channel)]
# As with paths, what callers say is judged by the policy and stands in the log.
CalledChannel = Annotated[str, Field(min_length=1, max_length=200, description="As list_channels names it.")]
Moment = Annotated[str, Field(pattern=r"^[0-9]{1,12}\.[0-9]{1,6}$")]


class SlackConfig(Settings):
    token_secret: SecretName = Field(description=f"Name of a secret of kind {TOKEN}: the token of a Slack app.")


class SlackPolicy(Policy):
    allowed_channels: list[Channel] = Field(
        [], max_length=50, description="Ids, or names of public channels; nothing else is read or written."
    )
    allow_posting: bool = Field(True, description="false: channels are only read.")
    allow_broadcasts: bool = Field(False, description="Whether a message may call everybody, as <!channel> does.")
    max_messages: int = Field(100, ge=1, le=200, description="Of one reading.")


class ListArguments(Settings):
    """Nothing to say."""


class HistoryArguments(Settings):
    channel: CalledChannel
    limit: int = Field(50, ge=1, le=200, description="At most so many messages, the newest first.")
    before: Moment | None = Field(None, description="Only messages before this `ts`.")
    after: Moment | None = Field(None, description="Only messages after this `ts`.")


class PostArguments(Settings):
    channel: CalledChannel
    text: str = Field(min_length=1, max_length=4000, description="In Slack's own markup.")
    thread_ts: Moment | None = Field(None, description="The `ts` of the message to answer in its thread.")


class Shown(BaseModel):
    """`channel` is what the other tools take."""

    channel: str
    id: str
    name: str
    is_private: bool
    topic: str


class Channels(BaseModel):
    channels: list[Shown]
    notes: list[str]


class Message(BaseModel):
    ts: str
    user: str
    text: str
    thread_ts: str | None
    replies: int


class History(BaseModel):
    """`next_before` goes into `before`; null when this is all."""

    channel: str
    messages: list[Message]
    next_before: str | None


class Posted(BaseModel):
    channel: str
    ts: str


@dataclass(frozen=True)
class Facts:
    """What Slack says of a channel at this moment."""

    id: str
    name: str
    is_private: bool = False
    is_archived: bool = False
    is_conversation: bool = False  # between people, without a name of its own
    topic: str = ""


class SlackTemplate(Template[SlackConfig, SlackPolicy]):
    """See the module."""

    kind = "slack"
    title = "Slack"
    description = "Lists channels, reads their history and posts, in the channels that the policy names."
    config = SlackConfig
    policy = SlackPolicy
    tools: ClassVar[tuple[Tool, ...]] = (
        Tool("list_channels", "List the channels that may be used.", ListArguments, result=Channels),
        Tool("read_history", "Read a channel's messages, the newest first.", HistoryArguments, result=History),
        Tool("post_message", "Post a message in a channel.", PostArguments, is_read_only=False, result=Posted),
    )

    def secrets(self, config: SlackConfig) -> tuple[SecretReference, ...]:
        return (SecretReference("token_secret", config.token_secret, TOKEN),)

    def judge(self, call: Call, config: SlackConfig, policy: SlackPolicy) -> Decision:
        match call.arguments:
            case ListArguments():
                return Allow()
            case HistoryArguments(channel=channel):
                return _judge_channel(channel, policy)
            case PostArguments(channel=channel, text=text):
                if not policy.allow_posting:
                    return Deny("allow_posting", "The policy of this deployment does not allow posting.")
                if not policy.allow_broadcasts and BROADCAST.search(text):
                    return Deny("allow_broadcasts", "The policy of this deployment does not allow calling everybody.")
                return _judge_channel(channel, policy)
        return Deny("tool", f"This template has no tool {call.tool}.")


def word_for(channel: str) -> str:
    """Return a channel as the policy spells it."""
    return channel.removeprefix("#")


def is_id(word: str) -> bool:
    """Return whether this names a channel by its id."""
    return ID.fullmatch(word) is not None


def admits(word: str, facts: Facts) -> bool:
    """Return whether a word of the policy means this channel, as it is now. Pure."""
    if facts.is_archived or facts.is_conversation:
        return False
    return facts.id == word if is_id(word) else facts.name == word and not facts.is_private


def _judge_channel(channel: str, policy: SlackPolicy) -> Decision:
    if word_for(channel) in policy.allowed_channels:
        return Allow()
    allowed = ", ".join(policy.allowed_channels[:10]) or "no channel"
    return Deny("allowed_channels", f"The policy of this deployment allows {allowed}, not {channel[:80]!a}.")
