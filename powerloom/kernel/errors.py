"""What can go wrong in words that every edge understands; each edge maps the tree once.

    PowerloomError              code                       HTTP
    ├── Malformed               malformed                  400   it cannot even be read
    ├── NotFound                not_found                  404   absent, of another tenant, or out of sight: all alike
    ├── WrongMethod             method_not_allowed         405
    ├── Unauthenticated         unauthenticated            401
    ├── Denied                  permission_denied          403   in sight but not allowed; carries the explanation
    ├── Invalid                 invalid                    422   names the field
    │   └── TooLarge            too_large                  413
    ├── Conflict                conflict                   409
    │   ├── NameTaken           name_taken                 409
    │   ├── Stale               stale                      409   the row moved since the caller read it
    │   ├── AlreadyDecided      already_decided            409   somebody got there first
    │   ├── NotReady            not_ready                  409   what it needs is not live yet
    │   ├── JustificationRequired  justification_required  409   a policy wants to know why
    │   └── KeyReused           idempotency_key_reused     409   same key, other body
    ├── UnsupportedVersion      unsupported_version        426   a schema version that we do not speak
    ├── TooMany                 rate_limited               429
    ├── Broken                  internal_error             500   our fault; never says more than a request id
    └── Unavailable             unavailable                503   a service we need does not answer

A hold is not an error: `submit` returns `Held` and the edge answers 202.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar  # Any: detail is free-form JSON for people and programs

from powerloom.kernel.explanation import Explanation, Remedy, plain


class PowerloomError(Exception):
    """Base of every refusal. `message` tells a person what to do; `detail` is JSON for programs.

    `is_recorded` is set once the refusal is in the audit trail, so that no edge records it again; `position` is which
    command of a set was refused; `together`, by position, what was refused with it.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, **detail: Any) -> None:
        super().__init__(message)
        self.message = message
        self.detail: Mapping[str, Any] = detail
        self.is_recorded = False
        self.position: int | None = None
        self.together: Mapping[int, PowerloomError] = {}


class Malformed(PowerloomError):
    """The request cannot be read at all."""

    code = "malformed"
    status = 400


class WrongMethod(PowerloomError):
    """The route exists, but not for this method."""

    code = "method_not_allowed"
    status = 405


class UnsupportedVersion(PowerloomError):
    """The client speaks a schema version that we do not. `detail` holds supported_versions and client_sent."""

    code = "unsupported_version"
    status = 426


class NotFound(PowerloomError):
    """Absent, foreign or unseen. The message never says which."""

    code = "not_found"
    status = 404

    def __init__(self, message: str = "Not found.", **detail: Any) -> None:
        super().__init__(message, **detail)


class Unauthenticated(PowerloomError):
    """No identity, or one that is no longer good."""

    code = "unauthenticated"
    status = 401


class Denied(PowerloomError):
    """The actor sees the thing but may not do this. `detail` holds permission, ou_path and `explain`, why it is so."""

    code = "permission_denied"
    status = 403

    def __init__(
        self, message: str, *, explain: Explanation | None = None, remedy: Sequence[Remedy] = (), **detail: Any
    ) -> None:
        super().__init__(message, **detail, explain=(explain or plain(message, remedy)).as_json())


class Invalid(PowerloomError):
    """The input cannot be accepted; `field` names where."""

    code = "invalid"
    status = 422

    def __init__(self, message: str, *, field: str | None = None, **detail: Any) -> None:
        super().__init__(message, **({"field": field} if field else {}), **detail)


class TooLarge(Invalid):
    """The input is over a limit; the message names the limit."""

    code = "too_large"
    status = 413


class Conflict(PowerloomError):
    """The state of things forbids it now."""

    code = "conflict"
    status = 409


class NameTaken(Conflict):
    """Another thing of this kind has this name here."""

    code = "name_taken"


class Stale(Conflict):
    """The row changed since the caller read it: read again, then decide."""

    code = "stale"


class AlreadyDecided(Conflict):
    """A state move lost its race."""

    code = "already_decided"


class NotReady(Conflict):
    """Something this needs is not live yet; the message names it."""

    code = "not_ready"


class JustificationRequired(Conflict):
    """A policy holds this only with a reason: send it with the request."""

    code = "justification_required"


class KeyReused(Conflict):
    """An Idempotency-Key came back with a different body."""

    code = "idempotency_key_reused"


class TooMany(PowerloomError):
    """Over a rate; `retry_after` is in seconds."""

    code = "rate_limited"
    status = 429

    def __init__(self, message: str, *, retry_after: int, **detail: Any) -> None:
        super().__init__(message, retry_after=retry_after, **detail)
        self.retry_after = retry_after


class Broken(PowerloomError):
    """An error of ours. What happened is in the log, under the request id."""

    code = "internal_error"
    status = 500


class Unavailable(PowerloomError):
    """A service that we need does not answer; nothing was changed."""

    code = "unavailable"
    status = 503
