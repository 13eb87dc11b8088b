"""Console URLs of the organization's room."""

from django.urls import path

from accounts.views import access

app_name = "organization"
urlpatterns = [
    path("organization/explain", access.explained, name="explain"),
    path("organization/why", access.why, name="why"),
]
