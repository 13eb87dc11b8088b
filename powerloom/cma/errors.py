"""What can go wrong between us and CMA, sorted by what the caller should do about it.

CMAError                 status, type, message, request_id
├── Unavailable          try again later: network, 408, 429, 5xx, 529
├── Conflict             409, our view is stale: read again, then try again
│   └── NameTaken        409 skill_name_taken: no retry will help
├── Missing              404
├── AccountProblem       401, 402: the whole account's trouble, not this object's
└── Rejected             400, 403, 413, 422 and the other 4xx: this request is wrong and stays wrong
"""

from typing import Any


class CMAError(Exception):
    """A call that CMA did not answer with success.

    `status` is the HTTP status, None when there was no answer. `type` is CMA's `error.type`, or `connection_error`.
    `code` is CMA's `error.details.error_code` when it sent one. `request_id` names the call in CMA's own logs.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        type: str = "api_error",
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.type = type
        self.code = code
        self.request_id = request_id

    def __str__(self) -> str:
        where = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.status or 'no answer'} {self.type}: {self.message}{where}"


class Unavailable(CMAError):
    """CMA could not take the call now.

    `retry_after` is CMA's own wish in seconds. `answer_lost` is true whenever the request may have been carried out
    although we saw no success: look before creating again.
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, answer_lost: bool = False, **facts: Any
    ) -> None:
        super().__init__(message, **facts)
        self.retry_after = retry_after
        self.answer_lost = answer_lost


class Conflict(CMAError):
    """What we sent rests on a version that is no longer the current one."""


class NameTaken(Conflict):
    """The name belongs to something else."""


class Missing(CMAError):
    """CMA has nothing under this id."""


class AccountProblem(CMAError):
    """The key is not accepted, or the account cannot pay."""


class Rejected(CMAError):
    """CMA will never accept this request as it is."""
