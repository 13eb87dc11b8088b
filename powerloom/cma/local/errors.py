"""CMA's error answers: `{"type": "error", "error": {"type", "message", "details"?}, "request_id"}`."""

from typing import Any

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class ApiError(Exception):
    """A refusal that the client is told of. `code` becomes `error.details.error_code`."""

    def __init__(
        self, status: int, kind: str, message: str, *, code: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.code = code
        self.headers = headers or {}


def invalid(message: str, *, code: str | None = None) -> ApiError:
    """400: the request is wrong as it stands."""
    return ApiError(400, "invalid_request_error", message, code=code)


def not_found(message: str = "Not found.", *, code: str | None = None) -> ApiError:
    """404: nothing by that id, or no such route."""
    return ApiError(404, "not_found_error", message, code=code)


def conflict(message: str, *, code: str | None = None) -> ApiError:
    """409. The header keeps the SDK from repeating what can only fail again."""
    return ApiError(409, "conflict_error", message, code=code, headers={"x-should-retry": "false"})


def too_large(message: str) -> ApiError:
    """413: more bytes than this route takes."""
    return ApiError(413, "request_too_large", message)


def from_validation(error: ValidationError) -> ApiError:
    """400 naming the first field that is wrong, as CMA does: `tools.0.name: Field required`."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return invalid(f"{where}: {first['msg']}" if where else first["msg"])


def body(error: ApiError, request_id: str | None) -> dict[str, Any]:
    """The JSON that says what went wrong."""
    inner: dict[str, Any] = {"type": error.kind, "message": error.message}
    if error.code:
        inner["details"] = {"error_code": error.code}
    return {"type": "error", "error": inner, "request_id": request_id}


def response(error: ApiError, request_id: str | None) -> Response:
    """The answer that says what went wrong."""
    return JSONResponse(body(error, request_id), status_code=error.status, headers=error.headers)


async def answer_api_error(request: Request, error: Exception) -> Response:
    """Starlette's handler for our own refusals."""
    if not isinstance(error, ApiError):
        raise error
    return response(error, request.state.request_id)


async def answer_http_error(request: Request, error: Exception) -> Response:
    """Starlette's handler for routes and methods that do not exist."""
    if not isinstance(error, HTTPException):
        raise error
    kind = "not_found_error" if error.status_code == 404 else "invalid_request_error"
    return response(ApiError(error.status_code, kind, str(error.detail)), request.state.request_id)


async def answer_defect(request: Request, _error: Exception) -> Response:
    """Starlette's handler for a defect of ours; the trace goes to the log, not to the client."""
    return response(ApiError(500, "api_error", "Internal server error"), request.state.request_id)
