"""URLs on hosts that serve the API at their root."""

from django.urls import include, path

urlpatterns = [path("", include("powerloom.api.urls"))]
