"""Reading manifests: multi-document YAML, of which JSON is a part, with the line of everything that is wrong.

Text that is hostile ends here: not UTF-8, nested too deep, or grown by aliases beyond what a person would write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any  # a document's JSON value

import yaml
from yaml.events import CollectionEndEvent, CollectionStartEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from powerloom.kernel.errors import Invalid
from powerloom.web.bodies import fault_of_json

MOST_DOCUMENTS = 2000
MOST_NODES = 50_000  # of a document, with every alias written out
MOST_NODES_IN_ALL = 500_000
DEEPEST = 32

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where libyaml is
Lines = dict[tuple[str | int, ...], int]


@dataclass(frozen=True)
class Raw:
    """One document as it stands in the text: its value, and the line of each of its fields."""

    value: dict[str, Any]
    line: int
    lines: Lines

    def line_of(self, path: tuple[str | int, ...]) -> int:
        """Return the line of a field, or of the nearest thing around it that is there."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return self.line


def read(text: bytes) -> list[Raw]:
    """Return the documents of a text. Raises `Invalid` with line and column."""
    try:
        plain = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(f"The manifest is not UTF-8: byte {error.start} cannot be read.", field="manifest") from error
    try:
        _refuse_depths(plain)
        nodes = [node for node in yaml.compose_all(plain, Loader=Loader) if node is not None]
        found = list(_documents(nodes))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        if mark and error.context_mark and mark.line > plain.count("\n"):  # beyond the end: say where it began
            mark = error.context_mark
        raise _at(mark, error.problem or "it is not YAML") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise Invalid(f"The manifest is not YAML: {str(error).splitlines()[0]}", field="manifest") from error
    if not found:
        raise Invalid("The manifest holds no document.", field="manifest")
    if len(found) > MOST_DOCUMENTS:
        raise Invalid(f"A manifest holds at most {MOST_DOCUMENTS} documents.", field="manifest")
    return found


def _refuse_depths(text: str) -> None:
    """Raise `Invalid` for nesting that no document has. Asked of the events, which come one by one: composing them into
    nodes goes as deep as the text does, and ends the process where that is too deep for its stack.
    """
    depth = 0
    for event in yaml.parse(text, Loader=Loader):
        if isinstance(event, CollectionStartEvent):
            depth += 1
            if depth > DEEPEST + 1:  # a JSON array around the documents is none of their own
                raise _at(event.start_mark, f"it is nested more than {DEEPEST} deep")
        elif isinstance(event, CollectionEndEvent):
            depth -= 1


def _documents(nodes: Iterable[Node]) -> Iterator[Raw]:
    """A document is a mapping; a JSON array is several of them."""
    sizes = 0
    for item in _items(nodes):
        if not isinstance(item, MappingNode):
            raise _at(item.start_mark, "a document is a mapping with apiVersion, kind, metadata and spec")
        size = _size(item, {}, 0)
        sizes += size
        if size > MOST_NODES:
            raise _at(item.start_mark, f"with its aliases written out it has more than {MOST_NODES} values")
        if sizes > MOST_NODES_IN_ALL:
            raise _at(
                item.start_mark, f"with all aliases written out the manifest has more than {MOST_NODES_IN_ALL} values"
            )
        lines: Lines = {}
        _note(item, (), lines)
        value = yaml.SafeLoader("").construct_document(item)
        if fault := fault_of_json(value):
            raise _at(item.start_mark, fault)
        yield Raw(value, item.start_mark.line + 1, lines)


def _items(nodes: Iterable[Node]) -> Iterator[Node]:
    for node in nodes:
        yield from node.value if isinstance(node, SequenceNode) else [node]


def _size(node: Node, known: dict[int, int], depth: int) -> int:
    """Return how many values a node has once its aliases are written out. An alias of what holds it never ends."""
    if depth > DEEPEST:
        raise _at(node.start_mark, f"it is nested more than {DEEPEST} deep")
    if id(node) in known:
        return known[id(node)]
    inside = _children(node)
    known[id(node)] = MOST_NODES + 1  # until it is known: whoever meets it again inside itself is too large
    known[id(node)] = 1 + sum(_size(child, known, depth + 1) for child in inside)
    return known[id(node)]


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []


def _note(node: Node, path: tuple[str | int, ...], lines: Lines) -> None:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, ScalarNode) or not key.tag.endswith(":str"):
                raise _at(key.start_mark, "keys are text")
            if key.value in seen:
                raise _at(key.start_mark, f"the key {key.value} stands here twice")
            seen.add(key.value)
            _note(value, (*path, key.value), lines)
            lines[*path, key.value] = key.start_mark.line + 1
    elif isinstance(node, SequenceNode):
        for place, value in enumerate(node.value):
            _note(value, (*path, place), lines)


def _at(mark: Any, words: str) -> Invalid:
    """Return the refusal with line and column. Any: libyaml's marks and PyYAML's own are two types."""
    if mark is None:
        return Invalid(f"The manifest cannot be read: {words}.", field="manifest")
    line, column = mark.line + 1, mark.column + 1
    return Invalid(f"Line {line}, column {column}: {words}.", field="manifest", line=line, column=column)
