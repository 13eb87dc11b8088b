from importlib import import_module

from django.apps import AppConfig


class RunConfig(AppConfig):
    name = "powerloom.run"
    label = "run"

    def ready(self) -> None:
        import_module("powerloom.celery")  # binds shared tasks, registers the checks
