"""Multipart forms, read so that the directories in file names stay.

Frameworks strip them, and take a part without a file name for a text field; uploads of skills need both otherwise.
"""

from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from powerloom.cma.local.bodies.base import read
from powerloom.cma.local.errors import invalid

MOST_BYTES = 64 * 1024 * 1024
MOST_PARTS = 10_000


@dataclass
class Part:
    """One part: the field it belongs to, its file name if it has one, and its bytes."""

    name: str
    filename: str | None
    content_type: str | None
    data: bytes


@dataclass
class _Open:
    headers: dict[bytes, bytes] = field(default_factory=dict)
    data: bytearray = field(default_factory=bytearray)


class _Collector:
    """The parser's callbacks."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self._open = _Open()
        self._header, self._value = bytearray(), bytearray()

    def on_part_begin(self) -> None:
        self._open = _Open()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self._open.headers[bytes(self._header).lower()] = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._open.data += data[start:end]

    def on_part_end(self) -> None:
        if len(self.parts) >= MOST_PARTS:
            raise invalid("The form has too many parts")
        self.parts.append(_part(self._open))


def _part(part: _Open) -> Part:
    disposition, options = parse_options_header(part.headers.get(b"content-disposition"))
    if disposition != b"form-data" or b"name" not in options:
        raise invalid("Every part of the form needs a name")
    filename = options.get(b"filename")
    kind = part.headers.get(b"content-type")
    try:
        return Part(
            name=options[b"name"].decode(),
            filename=None if filename is None else filename.decode(),
            content_type=None if kind is None else kind.decode("ascii"),
            data=bytes(part.data),
        )
    except UnicodeDecodeError as error:
        raise invalid("Names in the form must be UTF-8") from error


async def form(request: Request) -> list[Part]:
    """The parts of a multipart body. Raises 400, or 413 beyond MOST_BYTES."""
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise invalid("The request body must be multipart/form-data with a boundary")
    raw = await read(request, MOST_BYTES)
    collector = _Collector()
    callbacks = {name: getattr(collector, name) for name in dir(collector) if name.startswith("on_")}
    parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]  # its TypedDict lists every callback
    try:
        parser.write(raw)
        parser.finalize()
    except FormParserError as error:
        raise invalid(f"The multipart body is malformed: {error}") from error
    if not raw.rstrip().endswith(b"--" + boundary + b"--"):
        raise invalid("The multipart body is cut short")
    return collector.parts
