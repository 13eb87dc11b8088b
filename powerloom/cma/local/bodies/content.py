"""Content blocks: what messages and tool results are made of."""

from typing import Annotated, Literal

from pydantic import Field

from powerloom.cma.local.bodies.base import Body
from powerloom.cma.types import JSON

Text = Annotated[str, Field(min_length=1)]


class TextBlock(Body):
    """Plain text."""

    type: Literal["text"]
    text: Text


class Base64Source(Body):
    """Bytes in the request."""

    type: Literal["base64"]
    media_type: Text
    data: Text


class UrlSource(Body):
    """An address; this server never fetches it."""

    type: Literal["url"]
    url: Text


class FileSource(Body):
    """An uploaded file."""

    type: Literal["file"]
    file_id: Text


class PlainSource(Body):
    """Text in the request."""

    type: Literal["text"]
    media_type: Literal["text/plain"]
    data: str


class ImageBlock(Body):
    """A picture."""

    type: Literal["image"]
    source: Annotated[Base64Source | UrlSource | FileSource, Field(discriminator="type")]


class DocumentBlock(Body):
    """A document."""

    type: Literal["document"]
    source: Annotated[Base64Source | UrlSource | FileSource | PlainSource, Field(discriminator="type")]
    title: str | None = None
    context: str | None = None


class Citations(Body):
    """Whether a search result may be cited."""

    enabled: bool


class SearchResultBlock(Body):
    """A search result."""

    type: Literal["search_result"]
    source: Text
    title: str
    content: list[TextBlock]
    citations: Citations


MessageBlock = Annotated[TextBlock | ImageBlock | DocumentBlock, Field(discriminator="type")]
ResultBlock = Annotated[TextBlock | ImageBlock | DocumentBlock | SearchResultBlock, Field(discriminator="type")]


def text_of(content: list[JSON]) -> str:
    """The text in blocks, joined: all that the scripted model reads."""
    return "\n".join(block["text"] for block in content if block["type"] == "text")
