"""Guesses at requests, made from the contract: mostly right, sometimes wrong in one place, sometimes nonsense."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from hypothesis import strategies as st

TEXTS = st.one_of(
    st.sampled_from(["", "x", "leads", "code-reviewer", "claude-sonnet-4-6", "/acme", "*", "null", "0", "a" * 300]),
    st.sampled_from(
        ["\x00", "a\x00b", "\u202eevil", "😀" * 70, "\x1b[31m", "' OR 1=1 --", "<script>", "%00", "../../etc"]
    ),
    st.text(max_size=40),
)
NUMBERS = st.one_of(
    st.sampled_from([-1, 0, 1, 2, 2**31, 2**31 - 1, 2**53 - 1, 2**63, -(2**63), 10**30]),
    st.floats(allow_nan=False, allow_infinity=False),
)
JUNK = st.one_of(
    st.none(), st.booleans(), NUMBERS, TEXTS, st.just([]), st.just({}), st.just([None]), st.just({"x": {"y": [1]}})
)
BODIES = st.sampled_from(
    [b"", b"{", b"[]", b"null", b'"x"', b"[" * 100_000, b"\xff\xfe", b'{"a":NaN}', b'{"a":1,"a":2}', b"{" * 2000]
)
MOMENTS = st.sampled_from(
    ["2026-11-21T08:00:00Z", "2030-01-01T00:00:00+00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "now"]
)


@dataclass(frozen=True)
class Guess:
    """One request."""

    method: str
    path: str
    body: bytes
    content_type: str
    headers: dict[str, str] = field(default_factory=dict)


class Guesser:
    """Makes guesses for the operations of one document; `ids` are ids of things that exist."""

    def __init__(self, document: Mapping[str, Any], ids: list[str]) -> None:
        self.document = document
        self.ids = st.one_of(st.sampled_from(ids), st.uuids().map(str))

    def requests(self, method: str, path: str, operation: Mapping[str, Any]) -> st.SearchStrategy[Guess]:
        """Return requests to an operation."""

        @st.composite
        def guess(draw: st.DrawFn) -> Guess:
            given_path = path
            query = {}
            for parameter in operation["parameters"]:
                if parameter["in"] == "path":
                    value = draw(st.one_of(self.ids, self.ids, self.value(parameter["schema"])))
                    given_path = given_path.replace(f"{{{parameter['name']}}}", quote(str(value), safe=""))
                elif parameter["in"] == "query" and draw(st.booleans()):
                    query[parameter["name"]] = draw(self.value(parameter["schema"]))
            body, content_type = draw(self.body(operation))
            asked = f"?{urlencode(query, errors='replace')}" if query else ""
            return Guess(method.upper(), f"/api{given_path}{asked}", body, content_type, draw(HEADERS))

        return guess()

    def body(self, operation: Mapping[str, Any]) -> st.SearchStrategy[tuple[bytes, str]]:
        content = operation.get("requestBody", {}).get("content", {})
        if not content:
            return st.tuples(st.sampled_from([b"", b"{}"]), st.just("application/json"))
        kind, described = next(iter(content.items()))
        if kind == "multipart/form-data":
            return st.tuples(FORMS, st.sampled_from(["multipart/form-data; boundary=x", "multipart/form-data", kind]))
        whole = self.value(described["schema"]).map(_encoded)
        kinds = st.sampled_from(["application/json", "application/x-www-form-urlencoded", "text/plain", ""])
        return st.tuples(st.one_of(whole, whole, whole, BODIES), kinds)

    def value(self, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        """Return values that mostly fit a schema."""
        good = self.good(schema)
        return st.one_of(good, good, good, good, JUNK)

    def good(self, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        """Return values that fit a schema as far as types go."""
        while "$ref" in schema:
            found: Any = self.document
            for step in schema["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            schema = found
        if choices := schema.get("anyOf") or schema.get("oneOf"):
            return st.one_of([self.good(choice) for choice in choices])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        if "const" in schema:
            return st.just(schema["const"])
        return self._typed(schema)

    def _typed(self, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        made: dict[str, Callable[[], st.SearchStrategy[Any]]] = {
            "object": lambda: self._object(schema),
            "array": lambda: st.lists(self.value(schema.get("items", {})), max_size=3),
            "integer": lambda: st.one_of(st.integers(0, 100), NUMBERS),
            "number": lambda: NUMBERS,
            "boolean": st.booleans,
            "string": lambda: self._text(schema),
            "null": st.none,
        }
        return made.get(schema.get("type", ""), lambda: JUNK)()

    def _text(self, schema: Mapping[str, Any]) -> st.SearchStrategy[str]:
        likely = st.sampled_from(["leads", "reviewer", "x@acme.example"])
        return {"uuid": self.ids, "date-time": MOMENTS}.get(schema.get("format", ""), st.one_of(likely, TEXTS))

    def _object(self, schema: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
        required = set(schema.get("required", ()))
        known = {name: self.value(part) for name, part in schema.get("properties", {}).items()}
        fixed = {name: value for name, value in known.items() if name in required}
        free = {name: value for name, value in known.items() if name not in required}
        whole = st.fixed_dictionaries(fixed, optional=free)
        unknown = st.dictionaries(TEXTS, JUNK, max_size=1)
        return st.one_of(whole, whole, whole, st.tuples(whole, unknown).map(lambda both: both[0] | both[1]))


HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "idempotency-key": st.sampled_from(["one", "two", "x" * 300, "é"]),
        "x-powerloom-schema-version": st.sampled_from(["1", "2.0.2-draft.1", "9"]),
        "x-request-id": st.sampled_from(["short", "trace-0123456789", "x" * 200]),
    },
)
FORMS = st.sampled_from(
    [
        b"",
        b"--x\r\n",
        b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nnot a file\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\nPK\x03\x04junk\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a\x00.zip"\r\n\r\n\x1f\x8bjunk\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="other"; filename="a.zip"\r\n\r\nx\r\n--x--\r\n',
    ]
)


def _encoded(value: Any) -> bytes:
    return json.dumps(value).encode()
