import io
import zipfile

import anthropic
import httpx2
import pytest
from anthropic import AsyncAnthropic

from tests.contract.conftest import MODEL, skill_files

Files = list[tuple[str, bytes, str]]


async def test_a_skill_is_uploaded_with_its_directories_and_comes_back_as_a_zip(
    client: AsyncAnthropic, skill_folder: Files
) -> None:
    made = await client.skills.create(files=skill_folder, display_name="Greeting (contract)")
    assert (made.display_name, made.source.type) == ("Greeting (contract)", "custom")
    version = await client.skills.versions.retrieve("latest", skill_id=made.id)
    assert (version.id, version.name, version.description) == (made.latest_version_id, "greeting", "Says hello")
    content = await client.get(f"/v1/skills/{made.id}/versions/{version.id}/content", cast_to=httpx2.Response)
    archive = zipfile.ZipFile(io.BytesIO(content.content))
    assert sorted(archive.namelist()) == ["greeting/SKILL.md", "greeting/scripts/run.py"]
    assert archive.read("greeting/scripts/run.py") == b"print('hello')\n"
    assert (await client.skills.delete(made.id)).type == "skill_deleted"


async def test_the_display_name_is_the_slug_when_none_is_given(client: AsyncAnthropic, skill_folder: Files) -> None:
    made = await client.skills.create(files=skill_folder)
    assert made.display_name == "greeting"
    await client.skills.delete(made.id)


async def test_a_new_version_becomes_the_latest_and_the_old_one_stays(
    client: AsyncAnthropic, skill_folder: Files
) -> None:
    made = await client.skills.create(files=skill_folder)
    second = await client.skills.versions.create(made.id, files=skill_files("greeting", "Says more", b"print(2)\n"))
    assert (await client.skills.retrieve(made.id)).latest_version_id == second.id
    listed = [version.id async for version in client.skills.versions.list(made.id, limit=1)]
    assert listed == [second.id, made.latest_version_id]
    deleted = await client.skills.versions.delete(second.id, skill_id=made.id)
    assert deleted.type == "skill_version_deleted"
    assert (await client.skills.retrieve(made.id)).latest_version_id == made.latest_version_id
    await client.skills.delete(made.id)


async def test_a_skill_keeps_its_name(client: AsyncAnthropic, skill_folder: Files) -> None:
    made = await client.skills.create(files=skill_folder)
    with pytest.raises(anthropic.BadRequestError):
        await client.skills.versions.create(made.id, files=skill_files("farewell", "Says goodbye"))
    await client.skills.delete(made.id)


async def test_prebuilt_skills_are_listed_by_source(client: AsyncAnthropic) -> None:
    prebuilt = await client.skills.list(source="anthropic", limit=100)
    assert {"pdf", "xlsx"} <= {skill.id for skill in prebuilt.data}
    assert all(skill.source.type == "anthropic" for skill in prebuilt.data)
    custom = await client.skills.list(source="custom", limit=1)
    assert all(skill.source.type == "custom" for skill in custom.data)


async def test_an_agent_names_a_skill_and_its_version(client: AsyncAnthropic, skill_folder: Files) -> None:
    skill = await client.skills.create(files=skill_folder)
    made = await client.beta.agents.create(
        name="skilled",
        model=MODEL,
        skills=[{"type": "custom", "skill_id": skill.id, "version": skill.latest_version_id}],
    )
    assert (made.skills[0].skill_id, made.skills[0].version) == (skill.id, skill.latest_version_id)
    await client.beta.agents.archive(made.id)
    await client.skills.delete(skill.id)


@pytest.mark.parametrize(
    "files",
    [
        [("greeting/README.md", b"no manifest", "text/markdown")],
        [*skill_files("greeting", "x"), ("elsewhere/run.py", b"", "text/x-python")],
        [*skill_files("greeting", "x"), ("greeting/../../etc/passwd", b"", "text/plain")],
        [*skill_files("greeting", "x"), ("greeting/SKILL.md", b"again", "text/markdown")],
        [("greeting/SKILL.md", b"no front matter", "text/markdown")],
        [("greeting/SKILL.md", b"---\nname: [\n---\n", "text/markdown")],
        [("greeting/SKILL.md", b"---\nname: Not A Slug\ndescription: x\n---\n", "text/markdown")],
        [("greeting/SKILL.md", b"---\nname: greeting\n---\n", "text/markdown")],
    ],
    ids=["no manifest", "two tops", "dots", "twice", "no front matter", "bad yaml", "bad name", "no description"],
)
async def test_it_refuses_an_upload_that_is_no_skill(client: AsyncAnthropic, files: Files) -> None:
    with pytest.raises(anthropic.BadRequestError):
        await client.skills.create(files=files)
