"""Runs the tools of `slack` on the Slack Web API.

Who may be asked is settled by the policy's own words; who that is, by Slack at each call: a name is looked up anew
when the channel that had it does not have it any more.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any  # Slack's JSON
from uuid import UUID

from pydantic import BaseModel

from agents.backends.base import Answer, Backend, Served, Unfit
from agents.backends.slack_api import Failed, Slack, SlackApi
from agents.mcp.slack import (
    Channels,
    Facts,
    History,
    HistoryArguments,
    ListArguments,
    Message,
    PostArguments,
    Posted,
    Shown,
    SlackConfig,
    SlackPolicy,
    admits,
    is_id,
    word_for,
)
from agents.mcp.template import Call

PAGE = 500  # channels
MOST_PAGES = 10
LONGEST_TEXT = 4000  # characters of one message
MOST_KNOWN = 1000  # ids of names that are remembered

Of = Served[SlackConfig, SlackPolicy]


class SlackBackend(Backend[SlackConfig, SlackPolicy]):
    """One client for all deployments; a token goes with each request and stays nowhere."""

    def __init__(self) -> None:
        self._api = SlackApi()
        self._known: OrderedDict[tuple[UUID, str], str] = OrderedDict()  # where to look first, never what to believe

    async def check(self, served: Of) -> list[str]:
        try:
            slack = self._slack(served)
            await slack.post("auth.test", {})
            absent = [word for word in served.policy.allowed_channels if await self._find(served, slack, word) is None]
        except Failed as failed:
            raise Unfit("slack", failed.words) from None
        warnings = [f"allowed_channels: {word} is no channel that this token can use." for word in absent]
        if not served.policy.allowed_channels:
            warnings.append("The policy allows no channel: name some in allowed_channels.")
        return warnings

    async def call(self, served: Of, call: Call) -> Answer:
        try:
            found = await self._run(served, self._slack(served), call)
        except Failed as failed:
            return Answer(failed.words, is_error=True)
        return _answer(found, secret=served.secrets["token_secret"])

    async def close(self) -> None:
        await self._api.close()

    def _slack(self, served: Of) -> Slack:
        return self._api.with_token(served.secrets.get("token_secret", ""))

    async def _run(self, served: Of, slack: Slack, call: Call) -> BaseModel:
        match call.arguments:
            case ListArguments():
                return await self._list(served, slack)
            case HistoryArguments() as arguments:
                facts = await self._channel(served, slack, arguments.channel)
                return await _history(slack, facts, arguments, most=served.policy.max_messages)
            case PostArguments() as arguments:
                facts = await self._channel(served, slack, arguments.channel)
                return await _post(slack, facts, arguments)
        raise ValueError(f"slack has no tool {call.tool}")

    async def _list(self, served: Of, slack: Slack) -> Channels:
        shown: list[Shown] = []
        absent: list[str] = []
        for word in served.policy.allowed_channels:
            if facts := await self._find(served, slack, word):
                fields = {"id": facts.id, "name": facts.name, "is_private": facts.is_private, "topic": facts.topic}
                shown.append(Shown(channel=word, **fields))
            else:
                absent.append(word)
        notes = [f"Allowed, but no channel that can be used: {', '.join(absent)}."] if absent else []
        return Channels(channels=shown, notes=notes)

    async def _channel(self, served: Of, slack: Slack, channel: str) -> Facts:
        word = word_for(channel)
        facts = await self._find(served, slack, word)
        if facts is None:
            raise Failed(
                f"allowed_channels: {word} is no channel that can be used: absent, archived, private or renamed."
            )
        return facts

    async def _find(self, served: Of, slack: Slack, word: str) -> Facts | None:
        """Return the channel that a word of the policy means now."""
        key = (served.deployment_id, word)
        known = word if is_id(word) else self._known.get(key)
        if known and (facts := await _facts(slack, known)) and admits(word, facts):
            return facts
        self._known.pop(key, None)
        if is_id(word) or (facts := await _look_up(slack, word)) is None:
            return None
        self._known[key] = facts.id
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return facts


async def _facts(slack: Slack, channel_id: str) -> Facts | None:
    try:
        answer = await slack.get("conversations.info", {"channel": channel_id})
    except Failed as failed:
        if failed.code == "channel_not_found":
            return None
        raise
    facts = _read_facts(answer.get("channel"))
    return facts if facts and facts.id == channel_id else None


async def _look_up(slack: Slack, name: str) -> Facts | None:
    params: dict[str, Any] = {"types": "public_channel", "exclude_archived": "true", "limit": PAGE}
    for _ in range(MOST_PAGES):
        answer = await slack.get("conversations.list", params)
        found = [facts for channel in answer.get("channels") or [] if (facts := _read_facts(channel))]
        if facts := next((facts for facts in found if admits(name, facts)), None):
            return facts
        cursor = (answer.get("response_metadata") or {}).get("next_cursor")
        if not cursor:
            return None
        params["cursor"] = cursor
    raise Failed(f"Slack has more than {PAGE * MOST_PAGES} channels: name {name} by its id in allowed_channels.")


async def _history(slack: Slack, facts: Facts, arguments: HistoryArguments, *, most: int) -> History:
    params: dict[str, Any] = {"channel": facts.id, "limit": min(arguments.limit, most)}
    params |= {"latest": arguments.before} if arguments.before else {}
    params |= {"oldest": arguments.after} if arguments.after else {}
    answer = await slack.get("conversations.history", params)
    messages = [_message(item) for item in (answer.get("messages") or [])[: params["limit"]]]
    next_before = messages[-1].ts if messages and answer.get("has_more") else None
    return History(channel=word_for(arguments.channel), messages=messages, next_before=next_before)


async def _post(slack: Slack, facts: Facts, arguments: PostArguments) -> Posted:
    # Unfurling would have Slack fetch whatever the text links to.
    body = {"channel": facts.id, "text": arguments.text, "unfurl_links": False, "unfurl_media": False}
    body |= {"thread_ts": arguments.thread_ts} if arguments.thread_ts else {}
    answer = await slack.post("chat.postMessage", body)
    return Posted(channel=word_for(arguments.channel), ts=str(answer.get("ts", "")))


def _read_facts(channel: Any) -> Facts | None:
    if not isinstance(channel, dict) or not channel.get("id"):
        return None
    topic = channel.get("topic")
    return Facts(
        id=str(channel["id"]),
        name=str(channel.get("name") or ""),
        # What says nothing about itself counts as private.
        is_private=bool(channel.get("is_private", True)),
        is_archived=bool(channel.get("is_archived")),
        is_conversation=bool(channel.get("is_im") or channel.get("is_mpim")),
        topic=str(topic.get("value", ""))[:250] if isinstance(topic, dict) else "",
    )


def _message(item: Any) -> Message:
    fields = item if isinstance(item, dict) else {}
    return Message(
        ts=str(fields.get("ts", "")),
        user=str(fields.get("user") or fields.get("bot_id") or fields.get("username") or ""),
        text=str(fields.get("text", ""))[:LONGEST_TEXT],
        thread_ts=str(fields["thread_ts"]) if fields.get("thread_ts") else None,
        replies=int(fields.get("reply_count") or 0),
    )


def _answer(found: BaseModel, *, secret: str) -> Answer:
    """Return the result; a token that somebody wrote into a channel is not handed on."""
    clean = type(found).model_validate_json(found.model_dump_json().replace(secret, "[token]"))
    return Answer(_told(clean), structured=clean.model_dump(mode="json"))


def _told(found: BaseModel) -> str:
    match found:
        case Channels(channels=channels, notes=notes):
            lines = [f"{item.channel}  {item.id} #{item.name}  {item.topic}".rstrip() for item in channels]
            return "\n".join([*(lines or ["No channel."]), *(f"[{note}]" for note in notes)])
        case History(messages=messages, next_before=next_before):
            lines = [f"{item.ts} {item.user}: {item.text}" for item in messages] or ["No messages."]
            return "\n".join([*lines, *([f"[There is more: read before {next_before}.]"] if next_before else [])])
        case Posted(channel=channel, ts=ts):
            return f"Posted in {channel} at {ts}."
    raise TypeError(type(found).__name__)
