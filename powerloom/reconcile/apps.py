from django.apps import AppConfig


class ReconcileConfig(AppConfig):
    name = "powerloom.reconcile"
    label = "reconcile"
