from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import anthropic
import pytest
from anthropic import AsyncAnthropic
from anthropic.types.beta import BetaManagedAgentsVault

SERVER = "https://mcp.example/mcp"


@pytest.fixture
async def vault(client: AsyncAnthropic) -> AsyncIterator[BetaManagedAgentsVault]:
    made = await client.beta.vaults.create(display_name="contract", metadata={"a": "1"})
    yield made
    await client.beta.vaults.delete(made.id)


async def test_a_vault_is_made_renamed_and_listed(client: AsyncAnthropic, vault: BetaManagedAgentsVault) -> None:
    renamed = await client.beta.vaults.update(vault.id, display_name="renamed", metadata={"a": None, "b": "2"})
    assert (renamed.display_name, renamed.metadata) == ("renamed", {"b": "2"})
    assert await client.beta.vaults.retrieve(vault.id) == renamed
    assert (await client.beta.vaults.list(limit=1)).data[0].id == vault.id


async def test_a_bearer_goes_in_and_never_comes_out(client: AsyncAnthropic, vault: BetaManagedAgentsVault) -> None:
    made = await client.beta.vaults.credentials.create(
        vault.id, auth={"type": "static_bearer", "mcp_server_url": SERVER, "token": "s3cret"}, display_name="docs"
    )
    assert "s3cret" not in made.to_json()
    assert made.auth.type == "static_bearer"
    assert made.auth.mcp_server_url == SERVER
    changed = await client.beta.vaults.credentials.update(
        made.id, vault_id=vault.id, auth={"type": "static_bearer", "token": "n3w"}, metadata={"n": "2"}
    )
    assert changed.metadata == {"n": "2"}
    assert "n3w" not in changed.to_json()
    listed = await client.beta.vaults.credentials.list(vault.id)
    assert [credential.id for credential in listed.data] == [made.id]


async def test_one_live_credential_a_server(client: AsyncAnthropic, vault: BetaManagedAgentsVault) -> None:
    first = await client.beta.vaults.credentials.create(
        vault.id, auth={"type": "static_bearer", "mcp_server_url": SERVER, "token": "one"}
    )
    with pytest.raises(anthropic.ConflictError):
        await client.beta.vaults.credentials.create(
            vault.id, auth={"type": "static_bearer", "mcp_server_url": SERVER, "token": "two"}
        )
    await client.beta.vaults.credentials.archive(first.id, vault_id=vault.id)
    second = await client.beta.vaults.credentials.create(
        vault.id, auth={"type": "static_bearer", "mcp_server_url": SERVER, "token": "three"}
    )
    assert second.id != first.id


async def test_an_oauth_credential_shows_all_but_its_secrets(
    client: AsyncAnthropic, vault: BetaManagedAgentsVault
) -> None:
    made = await client.beta.vaults.credentials.create(
        vault.id,
        auth={
            "type": "mcp_oauth",
            "mcp_server_url": SERVER,
            "access_token": "s3cret-access",
            "expires_at": datetime.now(UTC) + timedelta(hours=1),
            "refresh": {
                "refresh_token": "s3cret-refresh",
                "client_id": "us",
                "token_endpoint": "https://auth.example/token",
                "token_endpoint_auth": {"type": "client_secret_basic", "client_secret": "s3cret-client"},
                "scope": "read",
            },
        },
    )
    assert "s3cret" not in made.to_json()
    assert made.auth.type == "mcp_oauth"
    assert made.auth.refresh is not None
    assert made.auth.refresh.token_endpoint_auth.type == "client_secret_basic"
    assert made.auth.refresh.scope == "read"
    cleared = await client.beta.vaults.credentials.update(
        made.id, vault_id=vault.id, auth={"type": "mcp_oauth", "refresh": {"scope": ""}}
    )
    assert cleared.auth.type == "mcp_oauth"
    assert cleared.auth.refresh is not None
    assert cleared.auth.refresh.scope is None


async def test_a_variable_says_where_it_may_be_put(client: AsyncAnthropic, vault: BetaManagedAgentsVault) -> None:
    made = await client.beta.vaults.credentials.create(
        vault.id,
        auth={
            "type": "environment_variable",
            "secret_name": "API_TOKEN",
            "secret_value": "s3cret",
            "networking": {"type": "limited", "allowed_hosts": ["api.example"]},
            "injection_location": {"header": True},
        },
    )
    assert made.auth.type == "environment_variable"
    assert (made.auth.injection_location.header, made.auth.injection_location.body) == (True, False)
    with pytest.raises(anthropic.BadRequestError):
        await client.beta.vaults.credentials.update(
            made.id, vault_id=vault.id, auth={"type": "environment_variable", "injection_location": {"header": False}}
        )


async def test_a_credential_keeps_its_type(client: AsyncAnthropic, vault: BetaManagedAgentsVault) -> None:
    made = await client.beta.vaults.credentials.create(
        vault.id, auth={"type": "static_bearer", "mcp_server_url": SERVER, "token": "one"}
    )
    with pytest.raises(anthropic.BadRequestError):
        await client.beta.vaults.credentials.update(
            made.id, vault_id=vault.id, auth={"type": "mcp_oauth", "access_token": "two"}
        )


async def test_archiving_a_vault_archives_what_is_in_it(client: AsyncAnthropic) -> None:
    vault = await client.beta.vaults.create(display_name="closing")
    made = await client.beta.vaults.credentials.create(
        vault.id, auth={"type": "static_bearer", "mcp_server_url": SERVER, "token": "one"}
    )
    assert (await client.beta.vaults.archive(vault.id)).archived_at is not None
    inside = await client.beta.vaults.credentials.retrieve(made.id, vault_id=vault.id)
    assert inside.archived_at is not None
    assert (await client.beta.vaults.delete(vault.id)).type == "vault_deleted"


async def test_a_credential_is_found_in_its_own_vault_only(
    client: AsyncAnthropic, vault: BetaManagedAgentsVault
) -> None:
    made = await client.beta.vaults.credentials.create(
        vault.id, auth={"type": "static_bearer", "mcp_server_url": SERVER, "token": "one"}
    )
    other = await client.beta.vaults.create(display_name="other")
    with pytest.raises(anthropic.NotFoundError):
        await client.beta.vaults.credentials.retrieve(made.id, vault_id=other.id)
    deleted = await client.beta.vaults.credentials.delete(made.id, vault_id=vault.id)
    assert deleted.type == "vault_credential_deleted"
    await client.beta.vaults.delete(other.id)
