"""Django's admin with our site in place of its own."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig


class OperatorsConfig(AdminConfig):
    """Names the site that every `admin.py` registers with."""

    default = False
    default_site = "powerloom.web.operators.OperatorSite"
