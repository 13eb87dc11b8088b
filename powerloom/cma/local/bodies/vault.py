"""Bodies of `/v1/vaults` and their credentials.

A credential's `auth` is split: what may be shown, and the secrets, which are kept apart and never sent back.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError, model_validator

from powerloom.cma.local.bodies.base import Body, Metadata, MetadataPatch
from powerloom.cma.local.errors import invalid
from powerloom.cma.local.ids import stamp
from powerloom.cma.types import JSON

Name = Annotated[str, Field(min_length=1, max_length=255)]
Secret = Annotated[str, Field(min_length=1, max_length=65_536)]
Url = Annotated[str, Field(max_length=2048, pattern=r"^https?://[^\s/]+")]
Text = Annotated[str, Field(min_length=1, max_length=2048)]
MOMENT = TypeAdapter(AwareDatetime)


class VaultCreate(Body):
    """POST /v1/vaults."""

    display_name: Name
    metadata: Metadata = {}


class VaultUpdate(Body):
    """POST /v1/vaults/{id}."""

    display_name: Name | None = None
    metadata: MetadataPatch | None = None


class StaticBearer(Body):
    """A token for one MCP server."""

    type: Literal["static_bearer"]
    mcp_server_url: Url
    token: Secret


class EndpointAuth(Body):
    """How the token endpoint knows us."""

    type: Literal["none", "client_secret_basic", "client_secret_post"]
    client_secret: Secret | None = None

    @model_validator(mode="after")
    def _secret_when_there_is_one(self) -> "EndpointAuth":
        if (self.client_secret is None) != (self.type == "none"):
            raise ValueError("client_secret goes with client_secret_basic and client_secret_post only")
        return self


class Refresh(Body):
    """How an access token is renewed."""

    refresh_token: Secret
    client_id: Text
    token_endpoint: Url
    token_endpoint_auth: EndpointAuth
    scope: str | None = None
    resource: str | None = None


class McpOauth(Body):
    """An OAuth token for one MCP server."""

    type: Literal["mcp_oauth"]
    mcp_server_url: Url
    access_token: Secret
    expires_at: str | None = None
    refresh: Refresh | None = None


class Open(Body):
    """Any host."""

    type: Literal["unrestricted"]


class Limited(Body):
    """Named hosts."""

    type: Literal["limited"]
    allowed_hosts: Annotated[list[Text], Field(min_length=1, max_length=16)]


Networking = Annotated[Open | Limited, Field(discriminator="type")]


class Injection(Body):
    """Where in a request the secret may stand."""

    header: bool | None = None
    body: bool | None = None


class EnvironmentVariable(Body):
    """A secret under a variable's name."""

    type: Literal["environment_variable"]
    secret_name: Annotated[str, Field(max_length=255, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    secret_value: Secret
    networking: Networking
    injection_location: Injection | None = None


class CredentialCreate(Body):
    """POST /v1/vaults/{id}/credentials."""

    auth: Annotated[StaticBearer | McpOauth | EnvironmentVariable, Field(discriminator="type")]
    display_name: Name | None = None
    metadata: Metadata = {}


class StaticBearerUpdate(Body):
    """A new token."""

    type: Literal["static_bearer"]
    token: Secret | None = None


class EndpointAuthUpdate(Body):
    """A new client secret; the way it is sent stays."""

    type: Literal["client_secret_basic", "client_secret_post"]
    client_secret: Secret | None = None


class RefreshUpdate(Body):
    """New facts about renewing."""

    refresh_token: Secret | None = None
    scope: str | None = None
    token_endpoint_auth: EndpointAuthUpdate | None = None


class McpOauthUpdate(Body):
    """New tokens."""

    type: Literal["mcp_oauth"]
    access_token: Secret | None = None
    expires_at: str | None = None
    refresh: RefreshUpdate | None = None


class EnvironmentVariableUpdate(Body):
    """A new value, or new places for it."""

    type: Literal["environment_variable"]
    secret_value: Secret | None = None
    networking: Networking | None = None
    injection_location: Injection | None = None


class CredentialUpdate(Body):
    """POST …/credentials/{cid}."""

    auth: (
        Annotated[StaticBearerUpdate | McpOauthUpdate | EnvironmentVariableUpdate, Field(discriminator="type")] | None
    ) = None
    display_name: Name | None = None
    metadata: MetadataPatch | None = None


def key_of(shown: JSON) -> str:
    """What a vault may have only once."""
    return str(shown.get("mcp_server_url") or shown["secret_name"])


def split(auth: StaticBearer | McpOauth | EnvironmentVariable) -> tuple[JSON, JSON]:
    """What is shown of a new credential, and what is secret. Raises 400."""
    match auth:
        case StaticBearer():
            return {"type": auth.type, "mcp_server_url": auth.mcp_server_url}, {"token": auth.token}
        case McpOauth():
            return _split_oauth(auth)
        case EnvironmentVariable():
            shown = {
                "type": auth.type,
                "secret_name": auth.secret_name,
                "networking": auth.networking.wire(),
                "injection_location": _injection(auth.injection_location),
            }
            return shown, {"secret_value": auth.secret_value}


def _split_oauth(auth: McpOauth) -> tuple[JSON, JSON]:
    shown: JSON = {"type": auth.type, "mcp_server_url": auth.mcp_server_url}
    secret: JSON = {"access_token": auth.access_token}
    if auth.expires_at is not None:
        shown["expires_at"] = _future(auth.expires_at)
    if auth.refresh is not None:
        refresh = auth.refresh
        shown["refresh"] = {
            "client_id": refresh.client_id,
            "token_endpoint": refresh.token_endpoint,
            "token_endpoint_auth": {"type": refresh.token_endpoint_auth.type},
            **{name: value for name in ("scope", "resource") if (value := getattr(refresh, name)) is not None},
        }
        secret |= {
            "refresh_token": refresh.refresh_token,
            "client_secret": refresh.token_endpoint_auth.client_secret,
        }
    return shown, secret


def updated(
    auth: StaticBearerUpdate | McpOauthUpdate | EnvironmentVariableUpdate, shown: JSON, secret: JSON
) -> tuple[JSON, JSON]:
    """Both after an update. Raises 400 when the type would change."""
    if auth.type != shown["type"]:
        raise invalid("auth.type cannot be changed")
    shown, secret = dict(shown), dict(secret)
    match auth:
        case StaticBearerUpdate():
            secret["token"] = auth.token or secret["token"]
        case McpOauthUpdate():
            secret["access_token"] = auth.access_token or secret["access_token"]
            if auth.expires_at is not None:
                shown["expires_at"] = _future(auth.expires_at)
            if auth.refresh is not None:
                _update_refresh(auth.refresh, shown, secret)
        case EnvironmentVariableUpdate():
            secret["secret_value"] = auth.secret_value or secret["secret_value"]
            if auth.networking is not None:
                shown["networking"] = auth.networking.wire()
            if auth.injection_location is not None:
                shown["injection_location"] = _injection(auth.injection_location, shown["injection_location"])
    return shown, secret


def _update_refresh(given: RefreshUpdate, shown: JSON, secret: JSON) -> None:
    if "refresh" not in shown:
        raise invalid("auth.refresh: the credential was made without it")
    refresh = dict(shown["refresh"])
    if given.scope is not None:
        refresh.pop("scope", None)
        if given.scope:
            refresh["scope"] = given.scope
    if given.token_endpoint_auth is not None:
        if refresh["token_endpoint_auth"]["type"] == "none":
            raise invalid("auth.refresh.token_endpoint_auth: the credential uses no client secret")
        secret["client_secret"] = given.token_endpoint_auth.client_secret or secret["client_secret"]
    secret["refresh_token"] = given.refresh_token or secret["refresh_token"]
    shown["refresh"] = refresh


def _injection(given: Injection | None, before: JSON | None = None) -> JSON:
    """Nothing said: both. Something said: what is left out is false at first, and stays later."""
    if given is None:
        return before or {"header": True, "body": True}
    kept = before or {"header": False, "body": False}
    places = {
        "header": kept["header"] if given.header is None else given.header,
        "body": kept["body"] if given.body is None else given.body,
    }
    if not any(places.values()):
        raise invalid("auth.injection_location: at least one place must be true")
    return places


def _future(text: str) -> str:
    try:
        moment = MOMENT.validate_python(text)
        if moment <= datetime.now(UTC):
            raise invalid("auth.expires_at: must be in the future")
        return stamp(moment)
    except (ValidationError, OverflowError) as error:
        raise invalid("auth.expires_at: must be an RFC 3339 time") from error
