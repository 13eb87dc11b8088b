import anthropic
import pytest
from anthropic import AsyncAnthropic


async def test_a_cloud_environment_comes_back_with_networking_and_all_package_lists(client: AsyncAnthropic) -> None:
    made = await client.beta.environments.create(name="cloud", config={"type": "cloud"}, metadata={"a": "1"})
    assert made.config.type == "cloud"
    assert made.config.networking.type == "unrestricted"
    assert made.config.packages.pip == []
    assert await client.beta.environments.retrieve(made.id) == made
    await client.beta.environments.delete(made.id)


async def test_an_update_keeps_the_parts_it_does_not_name(client: AsyncAnthropic) -> None:
    made = await client.beta.environments.create(
        name="limited",
        config={
            "type": "cloud",
            "networking": {"type": "limited", "allowed_hosts": ["a.example"], "allow_package_managers": True},
            "packages": {"pip": ["rich"]},
        },
    )
    after = await client.beta.environments.update(
        made.id, config={"type": "cloud", "packages": {"npm": ["left-pad"]}}, description=""
    )
    assert after.config.type == "cloud"
    assert after.config.networking.type == "limited"
    assert after.config.networking.allowed_hosts == ["a.example"]
    assert (after.config.packages.pip, after.config.packages.npm) == (["rich"], ["left-pad"])
    assert after.description == ""
    await client.beta.environments.delete(made.id)


async def test_packages_need_the_package_managers(client: AsyncAnthropic) -> None:
    with pytest.raises(anthropic.BadRequestError):
        await client.beta.environments.create(
            name="contradiction",
            config={"type": "cloud", "networking": {"type": "limited"}, "packages": {"pip": ["rich"]}},
        )


async def test_its_type_cannot_change(client: AsyncAnthropic) -> None:
    made = await client.beta.environments.create(name="typed", config={"type": "cloud"})
    with pytest.raises(anthropic.BadRequestError) as refused:
        await client.beta.environments.update(made.id, config={"type": "self_hosted"})
    assert refused.value.error_code == "invalid_config_type_change"
    await client.beta.environments.delete(made.id)


async def test_an_archived_one_is_read_only_and_leaves_the_list(client: AsyncAnthropic) -> None:
    made = await client.beta.environments.create(name="old", config={"type": "cloud"})
    await client.beta.environments.archive(made.id)
    with pytest.raises(anthropic.BadRequestError) as refused:
        await client.beta.environments.update(made.id, name="new")
    assert refused.value.error_code == "environment_archived"
    live = await client.beta.environments.list(limit=1)
    assert made.id not in {environment.id for environment in live.data}
    everything = await client.beta.environments.list(limit=1, include_archived=True)
    assert everything.data[0].id == made.id


async def test_a_deleted_one_is_gone(client: AsyncAnthropic) -> None:
    made = await client.beta.environments.create(name="gone", config={"type": "cloud"})
    assert (await client.beta.environments.delete(made.id)).type == "environment_deleted"
    with pytest.raises(anthropic.NotFoundError) as refused:
        await client.beta.environments.retrieve(made.id)
    assert refused.value.error_code == "environment_not_found"
