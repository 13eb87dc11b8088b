"""The API itself: routers of the apps, bearer authentication, errors."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any  # errors of validation are dictionaries

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.module_loading import import_string
from ninja.errors import AuthenticationError, HttpError
from ninja.errors import ValidationError as NinjaValidationError
from ninja.security import HttpBearer
from pydantic import ValidationError

from powerloom import __version__
from powerloom.api import meta
from powerloom.api.delegated import tools_of
from powerloom.api.openapi import Api
from powerloom.api.places import place_of
from powerloom.kernel.errors import Invalid, Malformed, NotFound, PowerloomError, TooLarge, Unauthenticated, Unavailable
from powerloom.kernel.refs import Actor
from powerloom.web.answers import error_response
from powerloom.web.bodies import JsonParser
from powerloom.web.refusals import record_refusal
from powerloom.web.requests import address, request_id

log = logging.getLogger(__name__)


class Bearer(HttpBearer):
    """Cookies never authenticate here: only `Authorization: Bearer`. A delegated token opens its tool's routes only."""

    def authenticate(self, request: HttpRequest, token: str) -> Actor | None:
        asked = {"request_id": request_id(request), "address": address(request)}
        actor: Actor | None = import_string(settings.AUTHENTICATE)(token, **asked)
        if actor is None and (tools := tools_of(request)):
            actor = import_string(settings.AUTHENTICATE_DELEGATED)(token, tools=tools, **asked)
        justification = request.headers.get("X-Approval-Justification", "")
        return replace(actor, justification=justification) if actor and justification else actor


api = Api(
    title="Powerloom",
    version=__version__,
    description="The governance control plane for Claude Managed Agents.",
    auth=Bearer(),
    parser=JsonParser(),
    openapi_url="/schema",
    docs_url=None,
    urls_namespace="api",
)
meta.register(api)
for app in (
    "accounts.api",
    "approvals.api",
    "agents.api",
    "sessions.api",
    "powerloom.api.manifests",
    "powerloom.api.audit",
):
    api.add_router("", f"{app}.router")


@api.exception_handler(PowerloomError)
def on_refusal(request: HttpRequest, error: PowerloomError) -> HttpResponse:
    record_refusal(request, error)
    return error_response(error, request)


@api.exception_handler(AuthenticationError)
def on_no_identity(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    refusal = Unauthenticated("Sign in: send `Authorization: Bearer <token>` with a token that is still good.")
    response = error_response(refusal, request)
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


@api.exception_handler(NinjaValidationError)
def on_invalid_request(request: HttpRequest, error: NinjaValidationError) -> HttpResponse:
    return error_response(_invalid(error.errors, request), request)


@api.exception_handler(ValidationError)
def on_invalid_command(request: HttpRequest, error: ValidationError) -> HttpResponse:
    problems: list[Any] = list(error.errors(include_url=False, include_context=False, include_input=False))
    return error_response(_invalid(problems, request), request)


@api.exception_handler(Http404)
def on_absent(request: HttpRequest, error: Http404) -> HttpResponse:
    return on_refusal(request, NotFound())


@api.exception_handler(RequestDataTooBig)
def on_too_large(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
    return error_response(TooLarge("The body is too large.", limit=settings.DATA_UPLOAD_MAX_MEMORY_SIZE), request)


@api.exception_handler(HttpError)
def on_http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    """Answer what ninja refuses by itself; a body that our parser refused says why in its cause."""
    if isinstance(error.__cause__, PowerloomError):
        return error_response(error.__cause__, request)
    return error_response(Malformed(error.message), request)


@api.exception_handler(OperationalError)
@api.exception_handler(InterfaceError)
def on_no_database(request: HttpRequest, error: Exception) -> HttpResponse:
    log.error("The database does not answer", exc_info=error, extra={"request_id": request_id(request)})
    refusal = Unavailable("The database does not answer. Nothing was changed; ask again.")
    return error_response(refusal, request)


def _invalid(errors: list[Any], request: HttpRequest) -> Invalid:
    """Say which fields are wrong and why; the values sent are never repeated, one may be a secret."""
    problems = [{"field": place_of(error, request), "problem": str(error["msg"])} for error in errors]
    first = problems[0]
    return Invalid(f"{first['field'] or 'body'}: {first['problem']}", field=first["field"], problems=problems)
