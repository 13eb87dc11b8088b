"""URLs of the console's own rooms."""

from django.urls import path

from powerloom.console import access, views

app_name = "console"
urlpatterns = [
    path("", views.home, name="home"),
    path("favicon.ico", views.favicon),
    path("audit", views.audit, name="audit"),
    path("audit/<int:seq>", views.audit_entry, name="audit_entry"),
    path("access-requests/new", access.ask_access, name="ask_access"),
]
