"""Addresses of the sockets, relative to whatever base URL a client uses: at the root and under `/api`."""

from __future__ import annotations

from typing import Any

from channels.auth import AuthMiddlewareStack
from django.urls import path, re_path

from sessions.consumers import ConsoleConsumer, NoSuchSocket, TicketConsumer

# `path` is typed for views; URLRouter takes ASGI applications in their place.
by_ticket: Any = TicketConsumer.as_asgi()
by_cookie: Any = AuthMiddlewareStack(ConsoleConsumer.as_asgi())
no_such_socket: Any = NoSuchSocket.as_asgi()

websocket_urlpatterns = [
    path("sessions/<uuid:session_id>/stream", by_ticket),
    path("api/sessions/<uuid:session_id>/stream", by_ticket),
    path("ws/console/", by_cookie),
    path("ws/console/sessions/<uuid:session_id>", by_cookie),
    re_path(r"", no_such_socket),
]
