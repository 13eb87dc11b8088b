"""`weave` against the server itself: the program as a shell runs it, with the product in the place of the network."""

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.test import Client

from powerloom.cli import client
from powerloom.cli.main import run
from tests.world import World

URL = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Said:
    """What a run ended with, and what it said."""

    code: int
    out: str
    err: str


Weave = Callable[..., Said]


class Server(httpx.BaseTransport):
    """The product, in the place of the network."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer: Any = Client(raise_request_exception=False).generic(
            request.method,
            request.url.raw_path.decode(),
            request.read(),
            content_type=request.headers.get("content-type", ""),
            headers=dict(request.headers),
        )
        body = answer.getvalue() if answer.streaming else answer.content
        return httpx.Response(answer.status_code, headers=dict(answer.items()), content=body)


@pytest.fixture
def weave(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    settings: Any,
) -> Weave:
    """Run the program with these arguments, and with this on its standard input."""
    settings.DEV_MODE = True
    monkeypatch.setattr(client, "transport", Server())
    for name in ("WEAVE_URL", "WEAVE_TOKEN", "WEAVE_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WEAVE_HOME", str(tmp_path / "weave"))

    def weave(*arguments: str, given: str = "") -> Said:
        monkeypatch.setattr(sys, "argv", ["weave", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        with pytest.raises(SystemExit) as ended:
            run()
        said = capsys.readouterr()
        return Said(int(ended.value.code or 0), said.out, said.err)

    return weave


@pytest.fixture
def alice(weave: Weave) -> Weave:
    """The program, signed in as Acme's administrator."""
    assert weave("login", "--dev", "alice@acme.example", "--url", URL).code == 0
    return weave
