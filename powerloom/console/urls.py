"""URLs of the console's own rooms."""

from django.urls import path

from powerloom.console import views

app_name = "console"
urlpatterns = [
    path("", views.home, name="home"),
    path("favicon.ico", views.favicon),
    path("audit", views.audit, name="audit"),
    path("audit/<int:seq>", views.audit_entry, name="audit_entry"),
]
