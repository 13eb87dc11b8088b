"""What can be done to sessions. Importing this package registers every handler."""

from sessions.commands.calls import AnswerToolCall, ConfirmToolUse
from sessions.commands.ends import CloseSession, DeleteSession, RenameSession
from sessions.commands.entries import InterruptSession, SendMessage
from sessions.commands.invoke import InvokeAgent

__all__ = [
    "AnswerToolCall",
    "CloseSession",
    "ConfirmToolUse",
    "DeleteSession",
    "InterruptSession",
    "InvokeAgent",
    "RenameSession",
    "SendMessage",
]
