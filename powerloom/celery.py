"""The Celery application: scheduled sweeps and nudges. Tasks carry ids or nothing and are safe to lose and to run
twice.
"""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import beat_init, worker_init
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from powerloom.checks import refuse_to_start

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "powerloom.settings")
# A worker would load every page for checks whose result Celery throws away; what must stop it is in `check_first`.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("powerloom")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
@beat_init.connect
def check_first(**_kwargs: object) -> None:
    """Stop before the first task where a development key or a reachable head key would serve."""
    try:
        refuse_to_start()
    except ImproperlyConfigured as error:
        raise SystemExit(str(error)) from error  # Celery goes on after any other exception of a signal's receiver


@app.on_after_finalize.connect
def schedule_sweeps(sender: Celery, **_kwargs: object) -> None:
    """Collect each app's `SCHEDULE` (name: task, seconds) once all tasks are known."""
    for name in SCHEDULES:
        schedule: dict[str, tuple[str, float]] = import_string(name)
        for task, every in schedule.values():
            sender.add_periodic_task(every, sender.signature(task), name=task)


SCHEDULES = (
    "powerloom.commands.tasks.SCHEDULE",
    "powerloom.audit.tasks.SCHEDULE",
    "powerloom.reconcile.tasks.SCHEDULE",
    "accounts.tasks.SCHEDULE",
    "approvals.tasks.SCHEDULE",
    "agents.tasks.SCHEDULE",
    "sessions.tasks.SCHEDULE",
)
