"""Files: a folder, served. Either the OU's file area, or a folder of the machine that the organization was granted.

Reading is open to everything in the folder that no dot hides, or to `allowed_paths`. Writing is open in the file area,
which is empty until somebody writes, and closed under a root unless the policy opens it.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, Field, model_validator

from agents.mcp.paths import NotPlain, Parts, parts_of, reach, shown
from agents.mcp.template import Allow, Call, Decision, Deny, Policy, Settings, Template, Tool

MIB = 1024 * 1024
Encoding = Literal["utf-8", "base64"]


def _a_plain_path(path: str) -> str:
    return "/".join(parts_of(path))


def _a_root(path: str) -> str:
    parts = parts_of(path.removeprefix("/"))
    if not parts or path != "/" + "/".join(parts):
        raise ValueError("a root is an absolute path without `.`, `..`, `//` or a slash at its end")
    return path


RelativePath = Annotated[str, Field(max_length=1024), AfterValidator(_a_plain_path)]
RootPath = Annotated[str, Field(max_length=1024), AfterValidator(_a_root)]
# What callers say is judged by the policy, not here, so that a hostile path is a denied call and stands in the log.
CalledPath = Annotated[str, Field(max_length=4096)]


class FilesConfig(Settings):
    """Which folder is served: one of the two. Nothing at all is the OU's whole file area."""

    bucket_prefix: RelativePath | None = Field(None, description="A folder in the OU's file area; empty: all of it.")
    root: RootPath | None = Field(None, description="A folder of the server that was granted to the organization.")

    @model_validator(mode="after")
    def _is_one_folder(self) -> FilesConfig:
        if self.root is not None and self.bucket_prefix is not None:
            raise ValueError("give bucket_prefix or root, not both")
        return self


class FilesPolicy(Policy):
    allowed_paths: list[RelativePath] | None = Field(
        None, max_length=200, description="Files and folders that are served, relative to the folder; null: all."
    )
    allow_writes: bool | None = Field(None, description="null: yes in the file area, no under a root.")
    max_read_bytes: int = Field(256 * 1024, ge=1024, le=4 * MIB, description="Of one read; the rest is paged.")
    max_write_bytes: int = Field(MIB, ge=0, le=4 * MIB, description="Of one file that is written.")
    max_entries: int = Field(500, ge=1, le=2000, description="Of one listing or search.")

    def allowed(self) -> tuple[Parts, ...] | None:
        """Return the allowed paths in parts; None when everything is allowed."""
        if self.allowed_paths is None:
            return None
        return tuple(tuple(path.split("/")) if path else () for path in self.allowed_paths)


class ListArguments(Settings):
    path: CalledPath = Field("", description="A folder, relative to the served one; empty: the served one.")
    after: str = Field("", max_length=255, description="Go on after this name.")
    limit: int = Field(200, ge=1, le=2000, description="At most so many entries.")


class ReadArguments(Settings):
    path: CalledPath = Field(description="A file, relative to the served folder.", examples=["README.md"])
    offset: int = Field(0, ge=0, le=2**53 - 1, description="From this byte on.")
    limit: int = Field(4 * MIB, ge=1, le=4 * MIB, description="At most so many bytes.")


class SearchArguments(Settings):
    path: CalledPath = Field("", description="Where to look: a folder and everything below it.")
    text: str = Field("", max_length=1000, description="What a line must contain, literally; empty: any file.")
    name: str = Field("*", min_length=1, max_length=255, description="What the file's name must match, as `*.py`.")
    ignore_case: bool = Field(False, description="Of the text.")
    limit: int = Field(100, ge=1, le=2000, description="At most so many matches.")


class WriteArguments(Settings):
    path: CalledPath = Field(description="The file, relative to the served folder; missing folders are made.")
    content: str = Field(max_length=6 * MIB, description="All of the file's new content.")
    encoding: Encoding = Field("utf-8", description="base64 for what is not text.")
    if_absent: bool = Field(False, description="Fail when the file is there already.")

    @model_validator(mode="after")
    def _is_readable(self) -> WriteArguments:
        try:
            self.data()
        except (binascii.Error, UnicodeError) as error:
            raise ValueError(f"the content is not {self.encoding}") from error
        return self

    def data(self) -> bytes:
        """Return the bytes to write."""
        if self.encoding == "base64":
            return base64.b64decode(self.content, validate=True)
        return self.content.encode()


class Entry(BaseModel):
    name: str
    kind: Literal["file", "folder"]
    size: int | None = Field(description="In bytes; null for folders.")
    modified_at: str


class Listing(BaseModel):
    """`next_after` goes into `after`; null when this is all."""

    path: str
    entries: list[Entry]
    next_after: str | None
    notes: list[str]


class Page(BaseModel):
    """`next_offset` goes into `offset`; null at the end of the file."""

    path: str
    size: int
    offset: int
    encoding: Encoding
    content: str
    next_offset: int | None


class Match(BaseModel):
    """`line` counts from 1; null, as the text, when only names were looked for."""

    path: str
    line: int | None
    text: str | None


class Found(BaseModel):
    matches: list[Match]
    is_complete: bool
    notes: list[str]


class Written(BaseModel):
    path: str
    size: int
    is_new: bool


PathArguments = ListArguments | ReadArguments | SearchArguments | WriteArguments


class FilesTemplate(Template[FilesConfig, FilesPolicy]):
    """See the module."""

    kind = "files"
    title = "Files"
    description = "Lists, reads, searches and writes the files of one folder."
    config = FilesConfig
    policy = FilesPolicy
    tools: ClassVar[tuple[Tool, ...]] = (
        Tool("list_files", "List a folder, in the order of names.", ListArguments, result=Listing),
        Tool("read_file", "Read a file, or a part of it; base64 when it is not UTF-8.", ReadArguments, result=Page),
        Tool("search_files", "Find lines by a text, or files by name.", SearchArguments, result=Found),
        Tool("write_file", "Write a file as a whole.", WriteArguments, is_read_only=False, result=Written),
    )

    def judge(self, call: Call, config: FilesConfig, policy: FilesPolicy) -> Decision:
        arguments = call.arguments
        if not isinstance(arguments, PathArguments):
            return Deny("tool", f"This template has no tool {call.tool}.")
        try:
            parts = parts_of(arguments.path)
        except NotPlain as error:
            rule = "no_dotfiles" if error.is_hidden else "plain_paths"
            return Deny(rule, f"The path {shown(arguments.path)} {error.words}.")
        if isinstance(arguments, WriteArguments) and (refusal := _judge_write(arguments, config, policy)):
            return refusal
        return _judge_place(arguments, parts, policy)


def may_write(config: FilesConfig, policy: FilesPolicy) -> bool:
    """Return whether files may be written at all."""
    return config.root is None if policy.allow_writes is None else policy.allow_writes


def _judge_write(arguments: WriteArguments, config: FilesConfig, policy: FilesPolicy) -> Deny | None:
    if not may_write(config, policy):
        return Deny("allow_writes", "The policy of this deployment does not allow writing.")
    if len(arguments.data()) > policy.max_write_bytes:
        return Deny("max_write_bytes", f"The policy of this deployment allows {policy.max_write_bytes} bytes a file.")
    return None


def _judge_place(arguments: PathArguments, parts: Parts, policy: FilesPolicy) -> Decision:
    is_of_file = isinstance(arguments, ReadArguments | WriteArguments)
    if is_of_file and not parts:
        return Deny("plain_paths", "The path names no file.")
    where = reach(parts, policy.allowed())
    # Above what is allowed one may look for the way down: the backend shows nothing else there.
    if where == "inside" or (where == "above" and not is_of_file):
        return Allow()
    allowed = ", ".join(map(shown, (policy.allowed_paths or [])[:10])) or "nothing"
    return Deny("allowed_paths", f"The policy of this deployment allows {allowed}, not {shown(arguments.path)}.")
