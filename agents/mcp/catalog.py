"""The catalog of templates: the kinds that the wire knows, and those of them that this installation serves."""

from __future__ import annotations

from typing import Any, Literal, get_args  # Any: config and policy types differ by template

from agents.mcp.echo import EchoTemplate
from agents.mcp.files import FilesTemplate
from agents.mcp.postgres.template import PostgresTemplate
from agents.mcp.powerloom_meta import PowerloomMetaTemplate
from agents.mcp.slack import SlackTemplate
from agents.mcp.template import Template

Kind = Literal[
    "files",
    "postgres",
    "slack",
    "echo",
    "powerloom_meta",
    "github",
    "google_drive",
    "notion",
    "jira",
    "confluence",
    "microsoft365",
    "salesforce",
    "zendesk",
    "hubspot",
    "linear",
]
KINDS: tuple[str, ...] = get_args(Kind)

TEMPLATES: dict[str, Template[Any, Any]] = {
    template.kind: template
    for template in (EchoTemplate(), FilesTemplate(), PostgresTemplate(), SlackTemplate(), PowerloomMetaTemplate())
}
