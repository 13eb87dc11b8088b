"""Deployments of `files`: which folder each one serves, and for how long."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from django.core.management import call_command

from agents.backends.base import Answer, Served, Unfit
from agents.backends.catalog import backends
from agents.backends.files import FilesBackend
from agents.mcp.catalog import TEMPLATES
from agents.mcp.files import FilesConfig, FilesPolicy
from agents.mcp.template import Call
from powerloom.kernel.ids import new_id
from tests.world import World

ORGANIZATION, OTHER, OU = new_id(), new_id(), new_id()

Of = Served[FilesConfig, FilesPolicy]


@pytest_asyncio.fixture
async def backend() -> AsyncIterator[FilesBackend]:
    backend = FilesBackend()
    yield backend
    await backend.close()


@pytest.fixture(autouse=True)
def area(settings: Any, tmp_path: Path) -> Path:
    settings.FILES = tmp_path / "areas"
    return tmp_path / "areas"


def served(organization_id: UUID = ORGANIZATION, ou_id: UUID = OU, policy: Any = None, **config: str) -> Of:
    template = TEMPLATES["files"]
    return Served(new_id(), organization_id, ou_id, template.read_config(config), template.read_policy(policy or {}))


def lead_elsewhere(link: Path, target: Path) -> None:
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(target)


def move(folder: Path, target: Path) -> None:
    folder.rename(target)


async def call(backend: FilesBackend, of: Of, name: str, **arguments: Any) -> Answer:
    tool = TEMPLATES["files"].tool(name)
    assert tool
    answer = await backend.call(of, Call(name, tool.arguments(**arguments)))
    if tool.result and not answer.is_error:
        assert answer.structured == tool.result.model_validate(answer.structured).model_dump(mode="json")
    return answer


async def test_the_four_tools_work_on_a_folder_that_deploying_made(backend: FilesBackend, area: Path) -> None:
    of = served(bucket_prefix="reports/2026")
    assert await backend.check(of) == []
    assert (area / str(ORGANIZATION) / str(OU) / "reports" / "2026").is_dir()
    written = await call(backend, of, "write_file", path="a/hello.txt", content="Hello\nneedle")
    assert written.text == "Wrote 12 bytes to a/hello.txt."
    assert (await call(backend, of, "read_file", path="a/hello.txt")).text == "Hello\nneedle"
    assert (await call(backend, of, "list_files")).text == "a/"
    assert (await call(backend, of, "list_files", path="a")).text == "hello.txt  12"
    assert (await call(backend, of, "search_files", text="needle")).text == "a/hello.txt:2: needle"
    assert (await call(backend, of, "search_files", text="nothing")).text == "Nothing found."


async def test_what_is_cut_says_where_to_go_on(backend: FilesBackend) -> None:
    of = served()
    await backend.check(of)
    await call(backend, of, "write_file", path="a", content="abcdef")
    await call(backend, of, "write_file", path="b", content="/w==", encoding="base64")
    assert "go on at offset 3" in (await call(backend, of, "read_file", path="a", limit=3)).text
    assert "base64" in (await call(backend, of, "read_file", path="b")).text
    assert "go on after 'a'" in (await call(backend, of, "list_files", limit=1)).text


async def test_two_organizations_and_two_ous_with_the_same_prefix_are_apart(backend: FilesBackend) -> None:
    mine = served(ORGANIZATION, OU, bucket_prefix="shared")
    others = [served(OTHER, OU, bucket_prefix="shared"), served(ORGANIZATION, new_id(), bucket_prefix="shared")]
    for of in (mine, *others):
        await backend.check(of)
    await call(backend, mine, "write_file", path="secret.txt", content="mine")
    for of in others:
        assert (await call(backend, of, "list_files")).text == "Nothing."
        assert (await call(backend, of, "read_file", path="secret.txt")).is_error
    whole = served(ORGANIZATION, OU)
    assert (await call(backend, whole, "read_file", path="shared/secret.txt")).text == "mine"


async def test_a_failure_is_an_answer_that_names_no_place_on_the_machine(backend: FilesBackend, area: Path) -> None:
    of = served()
    answer = await call(backend, of, "list_files")
    assert (answer.text, answer.is_error) == ("The served folder does not exist.", True)
    await backend.check(of)
    answer = await call(backend, of, "read_file", path="absent")
    assert (answer.text, answer.is_error) == ("'absent' does not exist.", True)
    answer = await call(backend, of, "read_file", path="../absent")
    assert (answer.text, answer.is_error) == ("'../absent' leads upwards.", True)


async def test_a_folder_that_cannot_be_made_says_why(backend: FilesBackend, area: Path, tmp_path: Path) -> None:
    lead_elsewhere(area / str(ORGANIZATION), tmp_path)
    with pytest.raises(Unfit, match=r"folder: The folder .* link.*POWERLOOM_FILES"):
        await backend.check(served())


async def test_allowed_paths_that_are_not_there_are_a_warning(backend: FilesBackend) -> None:
    of = served(policy={"allowed_paths": ["docs"]})
    assert await backend.check(of) == ["allowed_paths: docs is not there yet."]
    await call(backend, of, "write_file", path="docs/a", content="x")
    assert await backend.check(of) == []


async def test_slow_work_blocks_neither_the_loop_nor_other_calls(backend: FilesBackend, area: Path) -> None:
    """A search that waits for a thread does not keep a reader waiting."""
    of = served()
    await backend.check(of)
    await call(backend, of, "write_file", path="a", content="x")
    held = threading.Event()
    busy = [backend._search_threads.submit(held.wait, 30) for _ in range(2)]
    search = asyncio.create_task(call(backend, of, "search_files", text="x"))
    assert (await call(backend, of, "read_file", path="a")).text == "x"
    assert not search.done()
    held.set()
    assert (await search).text == "a:1: x"
    assert all(future.result(30) for future in busy)


async def test_concurrent_writers_leave_one_whole_file(backend: FilesBackend, area: Path) -> None:
    of = served()
    await backend.check(of)
    contents = [f"{number}" * 50_000 for number in range(10)]
    await asyncio.gather(*(call(backend, of, "write_file", path="d/f", content=content) for content in contents))
    assert (area / str(ORGANIZATION) / str(OU) / "d" / "f").read_text() in contents


# --- Roots


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "main.py").write_text("print()")
    (folder / ".env").write_text("KEY=1")
    return folder


@pytest.fixture
def granted(committed_world: World, root: Path) -> Of:
    call_command("grant_file_root", "acme", str(root), verbosity=0)
    return served(committed_world.acme.id, new_id(), root=str(root))


async def test_a_granted_root_is_read_without_its_dotfiles(backend: FilesBackend, granted: Of) -> None:
    assert await backend.check(granted) == []
    assert "main.py" in (await call(backend, granted, "list_files")).text
    assert ".env" not in (await call(backend, granted, "list_files")).text
    assert (await call(backend, granted, "read_file", path=".env")).is_error
    assert (await call(backend, granted, "search_files", text="KEY")).text == "Nothing found."


async def test_a_root_that_is_not_granted_says_who_can_grant_it(
    backend: FilesBackend, granted: Of, committed_world: World, root: Path
) -> None:
    foreign = served(committed_world.zeta.id, new_id(), root=str(root))
    with pytest.raises(Unfit, match=r"root: .* not granted .* manage.py grant_file_root"):
        await backend.check(foreign)
    assert (await call(backend, foreign, "read_file", path="main.py")).is_error


async def test_a_revoked_root_ends_with_the_next_call(backend: FilesBackend, granted: Of, root: Path) -> None:
    assert (await call(backend, granted, "read_file", path="main.py")).text == "print()"
    await asyncio.to_thread(call_command, "revoke_file_root", "acme", str(root), verbosity=0)
    answer = await call(backend, granted, "read_file", path="main.py")
    assert answer.is_error
    assert "not granted" in answer.text


async def test_a_root_that_the_data_folder_moved_into_is_not_served(
    backend: FilesBackend, granted: Of, settings: Any, root: Path
) -> None:
    settings.HOME = root / "data"
    with pytest.raises(Unfit, match="keeps its data"):
        await backend.check(granted)
    assert (await call(backend, granted, "read_file", path="main.py")).is_error


async def test_a_root_that_became_a_link_or_went_away_is_not_served(
    backend: FilesBackend, granted: Of, root: Path, tmp_path: Path
) -> None:
    move(root, tmp_path / "moved")
    with pytest.raises(Unfit, match=r"folder: .* does not exist"):
        await backend.check(granted)
    lead_elsewhere(root, tmp_path / "moved")
    with pytest.raises(Unfit, match=r"folder: .* link"):
        await backend.check(granted)
    assert (await call(backend, granted, "read_file", path="main.py")).is_error


async def test_every_template_has_a_backend() -> None:
    found = backends()
    assert {"echo", "files", "postgres", "slack"} <= set(found)
    for kind, backend in found.items():
        assert TEMPLATES[kind].kind == kind
        await backend.close()
