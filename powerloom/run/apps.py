from django.apps import AppConfig


class RunConfig(AppConfig):
    name = "powerloom.run"
    label = "run"

    def ready(self) -> None:
        from powerloom import celery  # noqa: F401, PLC0415  binds shared tasks, registers the checks
