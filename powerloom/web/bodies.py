"""JSON bodies: read as JSON whatever curl calls them, at most 1 MiB, and nothing in them that no layer below can keep.

What is refused here, at the edge, can break nothing below: PostgreSQL stores no NUL character, UTF-8 has no lone
surrogates, canonical JSON has no numbers beyond 2**53, and recursion over a body ends.
"""

from __future__ import annotations

import json
from typing import Any  # a JSON value

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from django.utils.datastructures import MultiValueDict
from ninja.parser import Parser

from powerloom.kernel.errors import Invalid, TooLarge

MAX_DEPTH = 64
# RFC 8785, section 3.2.2.3: numbers are IEEE 754 doubles, and a larger one may be written like an integer that is none.
LARGEST = 2**53 - 1


class JsonParser(Parser):
    """django-ninja's way to read what a request carries."""

    def parse_body(self, request: HttpRequest) -> Any:
        """Return the body's JSON value. Raises `TooLarge` over the limit and `Invalid` when it is not good JSON."""
        try:
            value = json.loads(_body(request), object_pairs_hook=_unique, parse_constant=_refuse)
            _check(value, 0)
        except (ValueError, RecursionError) as error:
            raise Invalid(f"The body is not acceptable JSON: {error}", field="body") from error
        return value

    def parse_querydict(
        self, data: MultiValueDict[str, Any], list_fields: list[str], request: HttpRequest
    ) -> dict[str, Any]:
        """Return the fields of a query or a form. Raises `Invalid` on text that no database keeps."""
        found: dict[str, Any] = super().parse_querydict(data, list_fields, request)
        for name, value in found.items():
            for text in [name, *(value if isinstance(value, list) else [value])]:
                if isinstance(text, str) and (problem := fault_of(text)):
                    raise Invalid(f"{name!a}: {problem}", field=name.replace("\0", ""))
        return found


def fault_of(text: str) -> str:
    """Say why a text cannot be kept, or "" when it can."""
    if "\0" in text:
        return "text must not hold the NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "text must not hold half of a surrogate pair"
    return ""


def fault_of_json(value: Any) -> str:
    """Say why a JSON value cannot be kept, or "" when it can."""
    try:
        _check(value, 0)
    except (ValueError, RecursionError) as error:
        return str(error)
    return ""


def _body(request: HttpRequest) -> bytes:
    limit: int = settings.MAX_JSON_BODY
    try:
        body = request.body
    except RequestDataTooBig as error:
        raise TooLarge(f"A JSON body has at most {limit} bytes.", limit=limit) from error
    if len(body) > limit:
        raise TooLarge(f"A JSON body has at most {limit} bytes.", limit=limit)
    return body


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _check(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
    if isinstance(value, str) and (problem := fault_of(value)):
        raise ValueError(problem)
    if isinstance(value, int | float) and abs(value) > LARGEST:
        raise ValueError("a number is beyond 2**53")
    if isinstance(value, dict | list):
        inside = [*value, *value.values()] if isinstance(value, dict) else value
        for inner in inside:
            _check(inner, depth + 1)
