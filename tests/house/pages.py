"""House rules about templates: what the content security policy would refuse, and what would need it to be weaker."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from tests.house.source import Finding, Source

SAFE = re.compile(r"\|\s*safe\b|\{%\s*autoescape\s+off")
SAFE_EXCEPTIONS: dict[str, str] = {}
FOREIGN = re.compile(r"\s*(https?:)?//", re.IGNORECASE)
ASSETS = {"script", "img", "iframe", "audio", "video", "source", "embed", "object", "link", "use", "image"}


def pages_keep_the_policy(source: Source) -> Iterator[Finding]:
    """No inline style, script or handler, nothing unescaped, no asset from elsewhere."""
    if source.path.suffix != ".html" or source.is_vendored:
        return
    for number, line in enumerate(source.lines, start=1):
        if SAFE.search(line) and source.name not in SAFE_EXCEPTIONS:
            yield Finding(number, "leave text escaped; markup is made by templates, data for scripts by json_script")
    tags = Tags()
    tags.feed(source.text)
    yield from tags.findings


class Tags(HTMLParser):
    """Reads the tags of a template; Django's own marks are text to it, or attributes of no interest."""

    def __init__(self) -> None:
        super().__init__()
        self.findings: list[Finding] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "style" or "style" in given:
            self.find("put styles into static/css and name a class")
        if tag == "script" and "src" not in given:
            self.find("put scripts into static/js; data for them goes through json_script")
        for name, value in given.items():
            self.judge(tag, name, value)

    def judge(self, tag: str, name: str, value: str) -> None:
        if re.fullmatch(r"on[a-z]+", name) or name.startswith(("hx-on", "data-hx-on")):
            self.find(f"{name}: add the listener in static/js")
        if value.strip().lower().startswith("javascript:"):
            self.find("a link leads somewhere; what acts is a button with a listener in static/js")
        if tag in ASSETS and name in {"src", "srcset", "href", "data", "poster"} and FOREIGN.match(value):
            self.find("serve assets from static/, with their hash beside them")

    def find(self, advice: str) -> None:
        self.findings.append(Finding(self.getpos()[0], advice))
