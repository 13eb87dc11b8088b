"""What all bodies share: how they are read, metadata, and patches."""

import json
import re
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from powerloom.cma.local.errors import from_validation, invalid, too_large
from powerloom.cma.types import JSON

MOST_JSON = 32 * 1024 * 1024
"""Bytes of a JSON body; CMA answers 413 above this."""

HUGE_NUMBER = re.compile(rb"[eE]\+?[0-9]{3,}|[0-9]{300,}")
"""What a number too big to write down again looks like; text may look so too, so this only calls for a check."""

METADATA_PAIRS, METADATA_KEY, METADATA_VALUE = 16, 64, 512

MetadataKey = Annotated[str, Field(min_length=1, max_length=METADATA_KEY)]
MetadataValue = Annotated[str, Field(max_length=METADATA_VALUE)]
Metadata = Annotated[dict[MetadataKey, MetadataValue], Field(max_length=METADATA_PAIRS)]
MetadataPatch = dict[MetadataKey, MetadataValue | None]


class Body(BaseModel):
    """A request body, or a part of one."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @classmethod
    async def of(cls, request: Request) -> Self:
        """The body of `request`. Raises 400 naming the first wrong field, or 413."""
        return cls.parse(await json_object(request))

    @classmethod
    def parse(cls, value: JSON) -> Self:
        """The same for JSON already read."""
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise from_validation(error) from error

    def given(self) -> dict[str, Any]:
        """The fields that the client sent, by name."""
        return {name: getattr(self, name) for name in self.model_fields_set}

    def wire(self) -> JSON:
        """The form that is stored and sent back."""
        return self.model_dump(mode="json")


async def json_object(request: Request) -> JSON:
    """The JSON object in a request. NaN, lone surrogates and bottomless nesting are no JSON here. Raises 400, 413."""
    raw = await read(request, MOST_JSON)
    try:
        value = from_json(raw, allow_inf_nan=False)
        if HUGE_NUMBER.search(raw):
            json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise invalid(f"The request body is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise invalid("The request body must be a JSON object")
    return value


async def read(request: Request, most: int) -> bytes:
    """All bytes of a request. Raises 413 beyond `most`, without reading on."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise too_large("Request exceeds the maximum size")
        chunks.append(chunk)
    return b"".join(chunks)


def patched(metadata: dict[str, str], patch: dict[str, str | None] | None) -> dict[str, str]:
    """`metadata` after a patch: null deletes. Raises 400 when too many pairs would remain."""
    merged: dict[str, str | None] = {**metadata, **(patch or {})}
    kept = {key: value for key, value in merged.items() if value is not None}
    if len(kept) > METADATA_PAIRS:
        raise invalid(f"metadata: at most {METADATA_PAIRS} pairs", code="invalid_metadata")
    return kept
