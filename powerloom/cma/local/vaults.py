"""Routes of `/v1/vaults` and their credentials. Secrets are kept apart and go to MCP servers only."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from powerloom.cma.local import pages
from powerloom.cma.local.bodies.base import patched
from powerloom.cma.local.bodies.vault import (
    CredentialCreate,
    CredentialUpdate,
    VaultCreate,
    VaultUpdate,
    key_of,
    split,
    updated,
)
from powerloom.cma.local.errors import conflict, invalid
from powerloom.cma.local.ids import new_id, now
from powerloom.cma.local.runtime import Runtime, runtime
from powerloom.cma.local.store import KeyTaken, Query
from powerloom.cma.types import JSON

MOST_CREDENTIALS = 20


async def create(request: Request) -> Response:
    """POST /v1/vaults."""
    body = await VaultCreate.of(request)
    moment = now()
    vault: JSON = {
        "id": new_id("vlt"),
        "type": "vault",
        "display_name": body.display_name,
        "metadata": body.metadata,
        "created_at": moment,
        "updated_at": moment,
        "archived_at": None,
    }
    runtime(request).store.insert("vault", vault)
    return JSONResponse(vault)


async def retrieve(request: Request) -> Response:
    """GET /v1/vaults/{id}."""
    return JSONResponse(_vault(request))


async def update(request: Request) -> Response:
    """POST /v1/vaults/{id}."""
    body = await VaultUpdate.of(request)
    before = _open_vault(request)
    after = {
        **before,
        "display_name": body.display_name or before["display_name"],
        "metadata": patched(before["metadata"], body.metadata),
    }
    return JSONResponse(_store_if_changed(runtime(request), "vault", before, after))


async def archive(request: Request) -> Response:
    """POST /v1/vaults/{id}/archive: purges the secrets of all its credentials and keeps the records."""
    run = runtime(request)
    vault = _vault(request)
    if vault["archived_at"] is None:
        moment = now()
        vault |= {"archived_at": moment, "updated_at": moment}
        with run.store.transaction():
            for credential in run.store.children("credential", vault["id"]):
                _archive_credential(run, credential, moment)
            run.store.replace("vault", vault)
    return JSONResponse(vault)


async def delete(request: Request) -> Response:
    """DELETE /v1/vaults/{id}: with its credentials."""
    run = runtime(request)
    vault = _vault(request)
    with run.store.transaction():
        run.store.delete_children("credential", vault["id"])
        run.store.delete("vault", vault["id"])
    return JSONResponse({"id": vault["id"], "type": "vault_deleted"})


async def list_vaults(request: Request) -> Response:
    """GET /v1/vaults, newest first."""
    return _page(request, "vault", "vaults", parent=None)


async def create_credential(request: Request) -> Response:
    """POST …/credentials. 409 when the vault has a live one for the same server or variable."""
    body = await CredentialCreate.of(request)
    run = runtime(request)
    vault = _open_vault(request)
    shown, secret = split(body.auth)
    if run.store.count("credential", vault["id"]) >= MOST_CREDENTIALS:
        raise invalid(f"A vault holds at most {MOST_CREDENTIALS} credentials")
    moment = now()
    credential: JSON = {
        "id": new_id("vcrd"),
        "type": "vault_credential",
        "vault_id": vault["id"],
        "display_name": body.display_name,
        "auth": shown,
        "metadata": body.metadata,
        "created_at": moment,
        "updated_at": moment,
        "archived_at": None,
    }
    try:
        run.store.insert("credential", credential, parent=vault["id"], key=key_of(shown), secret=secret)
    except KeyTaken as error:
        raise conflict(f"The vault already has a credential for {key_of(shown)}") from error
    return JSONResponse(credential)


async def retrieve_credential(request: Request) -> Response:
    """GET …/credentials/{cid}."""
    return JSONResponse(_credential(request))


async def update_credential(request: Request) -> Response:
    """POST …/credentials/{cid}: new secrets, name or metadata. What it is for stays."""
    body = await CredentialUpdate.of(request)
    run = runtime(request)
    before = _credential(request)
    if before["archived_at"] is not None:
        raise invalid("The credential is archived and cannot be changed")
    after = {
        **before,
        "display_name": body.display_name or before["display_name"],
        "metadata": patched(before["metadata"], body.metadata),
    }
    if body.auth is None:
        return JSONResponse(_store_if_changed(run, "credential", before, after))
    after["auth"], secret = updated(body.auth, before["auth"], run.store.secret(before["id"]) or {})
    after["updated_at"] = now()
    with run.store.transaction():
        run.store.replace("credential", after)
        run.store.set_secret(after["id"], secret)
    return JSONResponse(after)


async def archive_credential(request: Request) -> Response:
    """POST …/credentials/{cid}/archive: purges the secret and frees its place."""
    run = runtime(request)
    credential = _credential(request)
    if credential["archived_at"] is None:
        with run.store.transaction():
            _archive_credential(run, credential, now())
    return JSONResponse(credential)


async def delete_credential(request: Request) -> Response:
    """DELETE …/credentials/{cid}."""
    credential = _credential(request)
    runtime(request).store.delete("credential", credential["id"])
    return JSONResponse({"id": credential["id"], "type": "vault_credential_deleted"})


async def validate_credential(request: Request) -> Response:
    """POST …/credentials/{cid}/mcp_oauth_validate: this server probes nothing, so it does not know."""
    credential = _credential(request)
    if credential["auth"]["type"] != "mcp_oauth":
        raise invalid("Only mcp_oauth credentials can be validated")
    return JSONResponse(
        {
            "type": "vault_credential_validation",
            "credential_id": credential["id"],
            "vault_id": credential["vault_id"],
            "status": "unknown",
            "has_refresh_token": "refresh" in credential["auth"],
            "mcp_probe": None,
            "refresh": None,
            "validated_at": now(),
        }
    )


async def list_credentials(request: Request) -> Response:
    """GET …/credentials, newest first."""
    vault = _vault(request)
    return _page(request, "credential", f"credentials/{vault['id']}", parent=vault["id"])


def _page(request: Request, kind: str, scope: str, *, parent: str | None) -> Response:
    query = request.query_params
    size = pages.limit(query, default=20, most=100)
    start = pages.cursor(query, scope, ascending=False)
    archived = pages.flag(query, "include_archived")
    rows = runtime(request).store.find(
        Query(kind, size, parent=parent, after=pages.after(start), include_archived=archived)
    )
    return pages.page(rows, size, scope, ascending=False)


def _vault(request: Request) -> JSON:
    return runtime(request).load("vault", request.path_params["id"])


def _open_vault(request: Request) -> JSON:
    vault = _vault(request)
    if vault["archived_at"] is not None:
        raise invalid("The vault is archived and cannot be changed")
    return vault


def _credential(request: Request) -> JSON:
    vault = _vault(request)
    return runtime(request).load("credential", request.path_params["cid"], vault["id"])


def _archive_credential(run: Runtime, credential: JSON, moment: str) -> None:
    credential |= {"archived_at": moment, "updated_at": moment}
    run.store.replace("credential", credential)
    run.store.set_secret(credential["id"], None)


def _store_if_changed(run: Runtime, kind: str, before: JSON, after: JSON) -> JSON:
    if after != before:
        after["updated_at"] = now()
        run.store.replace(kind, after)
    return after


ROUTES = [
    Route("/v1/vaults", create, methods=["POST"]),
    Route("/v1/vaults", list_vaults, methods=["GET"]),
    Route("/v1/vaults/{id}", retrieve, methods=["GET"]),
    Route("/v1/vaults/{id}", update, methods=["POST"]),
    Route("/v1/vaults/{id}", delete, methods=["DELETE"]),
    Route("/v1/vaults/{id}/archive", archive, methods=["POST"]),
    Route("/v1/vaults/{id}/credentials", create_credential, methods=["POST"]),
    Route("/v1/vaults/{id}/credentials", list_credentials, methods=["GET"]),
    Route("/v1/vaults/{id}/credentials/{cid}", retrieve_credential, methods=["GET"]),
    Route("/v1/vaults/{id}/credentials/{cid}", update_credential, methods=["POST"]),
    Route("/v1/vaults/{id}/credentials/{cid}", delete_credential, methods=["DELETE"]),
    Route("/v1/vaults/{id}/credentials/{cid}/archive", archive_credential, methods=["POST"]),
    Route("/v1/vaults/{id}/credentials/{cid}/mcp_oauth_validate", validate_credential, methods=["POST"]),
]
