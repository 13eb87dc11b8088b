import anthropic
import pytest
from anthropic import AsyncAnthropic


async def test_a_file_is_uploaded_listed_and_deleted(client: AsyncAnthropic) -> None:
    made = await client.files.upload(file=("notes/facts.txt", b"one two three", "text/plain"))
    assert (made.filename, made.mime_type, made.size_bytes) == ("facts.txt", "text/plain", 13)
    assert (await client.files.retrieve_metadata(made.id)).id == made.id
    assert (await client.files.list(limit=1)).data[0].id == made.id
    assert [file.id for file in (await client.files.list(ids=[made.id, "file_01nowhere"])).data] == [made.id]
    assert (await client.files.delete(made.id)).type == "file_deleted"
    with pytest.raises(anthropic.NotFoundError):
        await client.files.retrieve_metadata(made.id)


async def test_an_uploaded_file_cannot_be_downloaded(client: AsyncAnthropic) -> None:
    made = await client.files.upload(file=("facts.txt", b"one two three", "text/plain"))
    with pytest.raises(anthropic.BadRequestError) as refused:
        await client.files.download(made.id)
    assert refused.value.error_code == "file_not_downloadable"
    await client.files.delete(made.id)


async def test_a_file_may_be_told_to_expire_within_limits(client: AsyncAnthropic) -> None:
    made = await client.files.upload(file=("a.txt", b"a", "text/plain"), expires_in_seconds=3600)
    assert made.expires_at is not None
    await client.files.delete(made.id)
    with pytest.raises(anthropic.BadRequestError):
        await client.files.upload(file=("a.txt", b"a", "text/plain"), expires_in_seconds=60)
