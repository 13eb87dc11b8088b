"""Every check of the sources, one after another; all of them run, and those that failed are named at the end.

python -m tests.lint
"""

import os
import subprocess
import sys
import tempfile

PYTHON = sys.executable

CHECKS = {
    "ruff check": [PYTHON, "-m", "ruff", "check"],
    "ruff format": [PYTHON, "-m", "ruff", "format", "--check"],
    "mypy": [PYTHON, "-m", "mypy"],
    "import-linter": [PYTHON, "-c", "from importlinter.cli import lint_imports_command as lint; lint()"],
    "migrations": [PYTHON, "manage.py", "makemigrations", "--check", "--dry-run"],
    "house rules": [PYTHON, "-m", "tests.house"],
}


def main() -> int:
    # Two of them load the settings, which make the data folder they name: not the developer's.
    with tempfile.TemporaryDirectory(prefix="powerloom-lint-") as folder:
        failed = [name for name in CHECKS if not passes(name, folder)]
    print(f"\nFailed: {', '.join(failed)}" if failed else "\nAll checks passed.")
    return bool(failed)


def passes(name: str, folder: str) -> bool:
    print(f"\n--- {name}", flush=True)
    environment = os.environ | {"POWERLOOM_HOME": folder}
    return subprocess.run(CHECKS[name], check=False, env=environment).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
