#!/usr/bin/env python
"""Powerloom's command line for operators: `python manage.py help`."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "powerloom.settings")
    if sys.argv[1:2] == ["up"]:
        # A first run on one's own machine: sign-in by name, on loopback only. Settings are read before the command is.
        os.environ.setdefault("POWERLOOM_DEV", "1")
    execute_from_command_line(sys.argv)
