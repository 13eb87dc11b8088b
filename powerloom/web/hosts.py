"""Hosts that serve the API at their root (`api.acme.example/agents`), as existing clients expect."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

API_PREFIX = "/api/"
API_ROOT = "powerloom.api.root_urls"


class ApiHostMiddleware:
    """Routes a request to the API alone when its host is one of `settings.API_HOSTS`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if _host(request) in settings.API_HOSTS:
            request.urlconf = API_ROOT
        return self.get_response(request)


def is_api(request: HttpRequest) -> bool:
    """Tell whether a request is for the API: by its path, or by the host it came to."""
    return f"{request.path}/".startswith(API_PREFIX) or getattr(request, "urlconf", None) == API_ROOT


def _host(request: HttpRequest) -> str:
    """Return the host as it was sent. Not `get_host()`, which refuses some: what we compare with is our own list."""
    host: str = request.META.get("HTTP_HOST", "")
    return host.lower()
