"""Run modes: everything in one process (`manage.py up`), or each process by itself."""
