"""URLs of the API, wherever it is mounted: under `/api`, and at the root of its own hosts."""

from django.urls import path

from powerloom.api import docs
from powerloom.api.v1 import api

urlpatterns = [path("docs", docs.read, name="api-docs"), path("", api.urls)]
