"""All URLs: the API under `/api`, the platform operators' admin, the console at the root."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from powerloom.run.readiness import healthz, readyz

urlpatterns = [
    path("healthz", healthz),
    path("readyz", readyz),
    path("api/", include("powerloom.api.urls")),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/", admin.site.urls),
    path("", include("powerloom.console.urls")),
    path("", include("accounts.urls")),
    path("", include("accounts.organization_urls")),
    path("", include("accounts.settings_urls")),
    path("", include("approvals.urls")),
    path("", include("agents.urls")),
    path("", include("sessions.urls")),
    path("", include("sessions.chat_urls")),
]

handler400 = "powerloom.console.errors.bad_request"
handler403 = "powerloom.console.errors.forbidden"
handler404 = "powerloom.console.errors.not_found"
handler500 = "powerloom.console.errors.broken"
