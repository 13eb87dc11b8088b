"""The ASGI entry: HTTP through Django, held back where a client waits for a session; WebSockets through Channels."""

from __future__ import annotations

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "powerloom.settings")
_django = get_asgi_application()

from django.conf import settings  # noqa: E402  below the line above, as all of these: they need the loaded apps

from powerloom.checks import refuse_to_start  # noqa: E402
from powerloom.web.slots import Slots  # noqa: E402
from sessions.routing import websocket_urlpatterns  # noqa: E402
from sessions.waiting import WaitingApp  # noqa: E402

refuse_to_start()
# Outside the slots: a client that waits for a session's end takes none.
_http = WaitingApp(Slots(_django, most=settings.WEB_SLOTS))
application = ProtocolTypeRouter({"http": _http, "websocket": URLRouter(websocket_urlpatterns)})
