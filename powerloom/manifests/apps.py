from django.apps import AppConfig


class ManifestsConfig(AppConfig):
    name = "powerloom.manifests"
    label = "manifests"

    def ready(self) -> None:
        from powerloom.manifests import commands  # noqa: F401, PLC0415  registers the handler
