"""The product's settings for a test process: its own data folder, its own corner of the broker, cheap password hashes.

The environment of whoever runs the tests must not decide how they end, so what the settings read is set or taken away
first. What child processes inherit is therefore safe too: none of them ever touches a developer's data.
"""

import atexit
import os
import shutil
import tempfile

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
FOLDER = tempfile.mkdtemp(prefix=f"powerloom-tests-{WORKER}-")
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)

for name in [name for name in os.environ if name.startswith("POWERLOOM_") and name != "POWERLOOM_CMA_URL"]:
    del os.environ[name]
os.environ["POWERLOOM_HOME"] = FOLDER
if address := os.environ.get("REDIS_URL"):
    # One numbered database for each worker; 0 stays with the process that started them.
    os.environ["REDIS_URL"] = f"{address.rpartition('/')[0]}/{1 + int(WORKER.removeprefix('gw')) % 15}"

from powerloom.settings import *  # noqa: E402, F403 - the names of the settings, after the environment is in order
from powerloom.settings import DATABASE_URL, DATABASES, HOME  # noqa: E402 - as above

if not DATABASE_URL:
    # A file, because threads of a race need connections of their own, which a database in memory does not give.
    DATABASES["default"]["TEST"] = {"NAME": str(HOME / "template.sqlite3")}
elif template := os.environ.get("TEMPLATE_DATABASE"):
    DATABASES["default"]["TEST"] = {"TEMPLATE": template}  # migrated, see `tests.migrated`
PASSWORD_HASHERS = ["tests.passwords.QuickArgon2"]
WHITENOISE_AUTOREFRESH = True  # finds a file when it is asked for, where each new client would list them all
CMA_URL = CMA_KEY = ""  # only the contract suite talks to the hosted service, and it asks the environment itself
CMA_RATES = {}  # as against the local runtime
SECRET_KEY_IS_GENERATED = False  # one data folder, so one key, for all processes of a test
