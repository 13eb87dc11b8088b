from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "powerloom.audit"
    label = "audit"
