from importlib import import_module

from django.apps import AppConfig


class ManifestsConfig(AppConfig):
    name = "powerloom.manifests"
    label = "manifests"

    def ready(self) -> None:
        import_module("powerloom.manifests.commands")  # registers the handler
