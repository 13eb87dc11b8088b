"""Settings, read from the environment once. Mode is settings only: the same code runs embedded and distributed.

| variable | meaning | embedded default |
|---|---|---|
| POWERLOOM_HOME | data folder (database, keys, logs, audit heads) | `.powerloom` beside `manage.py` |
| POWERLOOM_DEV | development mode: sign-in by name, on loopback | off; `manage.py up` turns it on |
| POWERLOOM_SECRET_KEY | signing key of the web edge | made once in the data folder |
| DATABASE_URL | `postgres://…` | SQLite in the data folder |
| REDIS_URL | broker and channel layer | in-memory, one process |
| POWERLOOM_AUDIT_HEADS | folder of signed heads and public key, best on another machine | `audit` in the data folder |
| POWERLOOM_AUDIT_KEY | private key of the heads, for `sign_heads` alone | `keys/audit_head.pem` in the data folder |
| POWERLOOM_MASTER_KEYS | `file`, or `aws`: Secrets Manager, with the extra `aws` | `file`, in the data folder |
| POWERLOOM_AWS_SECRET | with `aws`: name or ARN of the secret, made at the first start | `powerloom/master-keys` |
| POWERLOOM_AWS_REGION, POWERLOOM_AWS_ENDPOINT | with `aws`: where it is | as AWS's own tools find it |
| POWERLOOM_CMA_URL, ANTHROPIC_API_KEY | where agents run | the local runtime |
| POWERLOOM_FLEET_PORT | the fleet's port on loopback | 8001; under `up` that beside the console's, or any free one |
| POWERLOOM_FLEET_URL | where CMA reaches the fleet of managed MCP servers | the fleet's own address on loopback |
| POWERLOOM_API_URL | where `powerloom_meta` reaches the REST API | the console's own address on loopback |
| POWERLOOM_DELEGATION_KEY | signs delegated tokens; for web processes, never for the fleet | made of the secret key |
| POWERLOOM_FILES | file areas of `files` deployments; shared in the distributed mode | `files` in the data folder |
| POWERLOOM_URL | where people reach the console, for links in mails and webhooks | `http://127.0.0.1:8000` |
| POWERLOOM_SMTP_URL | `smtp://user:password@host:587` (STARTTLS) or `smtps://…` | files in `mail` of the data folder |
| POWERLOOM_MAIL_FROM | the sender of mails | `powerloom@localhost` |
| POWERLOOM_SLACK_URL | the Slack Web API of the `slack` deployments | Slack's own |
| POWERLOOM_LOG_LEVEL | from which level on our own loggers write to standard error | INFO |
| POWERLOOM_ALLOWED_HOSTS | hosts of the console | loopback |
| POWERLOOM_API_HOSTS | hosts that serve the API at their root | none |
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from urllib.parse import unquote, urlsplit

from powerloom.web.logs import configuration

BASE_DIR = Path(__file__).resolve().parent.parent
HOME = Path(os.environ.get("POWERLOOM_HOME") or BASE_DIR / ".powerloom").expanduser().resolve()


def _list(name: str, default: str = "") -> list[str]:
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


def _flag(name: str) -> bool:
    return os.environ.get(name, "").lower() in {"1", "true", "yes"}


def _kept_secret(path: Path) -> str:
    """Return the secret kept in the file, made on first use; only its owner may read it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
    return path.read_text()


DEV_MODE = _flag("POWERLOOM_DEV")
DEBUG = False
SECRET_KEY_IS_GENERATED = not os.environ.get("POWERLOOM_SECRET_KEY")
SECRET_KEY = os.environ.get("POWERLOOM_SECRET_KEY") or _kept_secret(HOME / "keys" / "secret_key")
ALLOWED_HOSTS = _list("POWERLOOM_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
API_HOSTS = _list("POWERLOOM_API_HOSTS")
CSRF_TRUSTED_ORIGINS = _list("POWERLOOM_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "powerloom.console.operators.OperatorsConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.forms",
    "channels",
    "csp",
    "django_htmx",
    "ninja",
    "powerloom.reconcile",
    "powerloom.audit",
    "powerloom.commands",
    "accounts",
    "approvals",
    "agents",
    "sessions",
    "powerloom.manifests",
    "powerloom.console",
    "powerloom.run",
]

MIDDLEWARE = [
    "powerloom.web.requests.RequestIdMiddleware",
    "powerloom.web.hosts.ApiHostMiddleware",
    "powerloom.web.edge.ApiEdgeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "powerloom.urls"
ASGI_APPLICATION = "powerloom.asgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "powerloom.console.navigation.shell",
            ]
        },
    }
]

FORM_RENDERER = "powerloom.web.forms.Renderer"
CSRF_FAILURE_VIEW = "powerloom.console.errors.csrf_failure"

# The governed write path: the order of safety, read in one place.

COMMAND_STEPS = {"authorize": "accounts.rbac.authorize", "hold": "approvals.gate.hold"}
AUDIT_HEADS = Path(os.environ.get("POWERLOOM_AUDIT_HEADS") or HOME / "audit").expanduser().resolve()
AUDIT_KEY = Path(os.environ.get("POWERLOOM_AUDIT_KEY") or HOME / "keys" / "audit_head.pem").expanduser().resolve()
AUTHENTICATE = "accounts.tokens.authenticate"
AUTHENTICATE_DELEGATED = "sessions.delegations.authenticate"
ACTOR_OF_USER = "accounts.tokens.actor_of_user"
ACTIONS = [
    "accounts.actions.Action",
    "approvals.actions.Action",
    "agents.actions.Action",
    "sessions.actions.Action",
    "powerloom.manifests.actions.Action",
]
# What the tree of OUs counts besides users and groups: word to a function of the actor that returns rows with an OU.
COUNTED_IN_OUS = {
    "Agents": "agents.queries.agents.agents_visible_to",
    "Skills": "agents.queries.skills.skills_visible_to",
    "MCP servers": "agents.queries.servers.servers_visible_to",
}
# The principals that are named only to who may read them: kind to a function of the actor that returns those.
NAMED_BY_RIGHT = {"agent": "agents.queries.agents.agents_visible_to"}
VALUE_NEEDS = "agents.delegating.needs_of_secret"  # what else another value for a secret takes, by what uses it
EFFECTS = "agents.effects.reached"  # which agents a set changes underneath, for the policies that guard them
RETURNING = "agents.withholding.coming_back"  # which agents are about to get back what was withheld from them
RESULTING = "agents.effects.states"  # what things are after a set, for the conditions of policies
STAGED = ["accounts.sealing.keep", "agents.staging.keep"]  # what keeps sealed values and uploads while a request waits
MAX_PENDING_PER_REQUESTER = 100
MAX_PENDING_PER_ORGANIZATION = 2000

# Where the truth is, and the bells.


def _postgres(url: str) -> dict[str, object]:
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"pool": {"min_size": 1, "max_size": 16, "timeout": 20}},
    }


def _sqlite(path: Path) -> dict[str, object]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        # IMMEDIATE: a read-then-write transaction takes the write lock at its start instead of failing at its end.
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA foreign_keys=ON;",
        },
    }


DATABASE_URL = os.environ.get("DATABASE_URL", "")
DATABASES = {"default": _postgres(DATABASE_URL) if DATABASE_URL else _sqlite(HOME / "powerloom.sqlite3")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = os.environ.get("REDIS_URL", "")
EMBEDDED = not REDIS_URL
CHANNEL_LAYERS: dict[str, dict[str, object]]
if EMBEDDED:
    CHANNEL_LAYERS = {"default": {"BACKEND": "powerloom.run.layers.ThreadSafeInMemoryChannelLayer"}}
else:
    # No timeout of redis-py's: its default of 5 s equals the layer's blocking read and kills idle consumers, and any
    # makes it send by `asyncio.wait_for`, which before Python 3.12 can swallow a cancel: a listener would never stop.
    # Whoever rings has patience of its own, and the keepalive that redis-py asks for notices a host that is gone. A
    # timeout in the address itself would win, so there should be none.
    _host = {"address": REDIS_URL, "socket_timeout": None, "socket_connect_timeout": 0.5}
    CHANNEL_LAYERS = {"default": {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [_host]}}}

CELERY_BROKER_URL = REDIS_URL or "memory://localhost/"
CELERY_BROKER_TRANSPORT_OPTIONS = {"polling_interval": 0.1} if EMBEDDED else {"socket_connect_timeout": 0.5}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True  # the database is the truth; nobody waits for a task
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_WORKER_CONCURRENCY = int(os.environ.get("POWERLOOM_WORKER_THREADS", "4"))

# People and sessions of the console.

AUTH_USER_MODEL = "accounts.User"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
LOGIN_URL = "/sign-in"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/sign-in"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEV_MODE
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

# Master keys of sealed values: a callable that answers a provider (`powerloom.kernel.envelope.MasterKeys`).

MASTER_KEYS = {
    "file": "powerloom.kernel.key_file.local_keys",
    "aws": "powerloom.kernel.aws_keys.aws_keys",  # wants the extra `aws`
}[os.environ.get("POWERLOOM_MASTER_KEYS", "file")]
AWS_SECRET = os.environ.get("POWERLOOM_AWS_SECRET", "powerloom/master-keys")
AWS_REGION = os.environ.get("POWERLOOM_AWS_REGION", "")
AWS_ENDPOINT = os.environ.get("POWERLOOM_AWS_ENDPOINT", "")

# CMA and limits.

CMA_URL = os.environ.get("POWERLOOM_CMA_URL", "")
CMA_KEY = os.environ.get("ANTHROPIC_API_KEY", "")
CMA_ACCOUNTS: dict[str, dict[str, str]] = {}  # organization id: {"url", "key"}, for those with an account of their own
# Calls a minute, by class of call, as CMA counts them; nothing is limited against the local runtime.
CMA_RATES = {"create": 300, "other": 600, "environments": 60} if CMA_URL else {}
ENVIRONMENT_NETWORKING = {"type": "unrestricted"}
RECONCILE_DRIVERS = [  # in the order of their dependencies
    "agents.drivers.environment.EnvironmentDriver",
    "agents.drivers.skills.SkillDriver",
    "agents.drivers.skills.SkillVersionDriver",
    "agents.drivers.agents.AgentDriver",
    "agents.drivers.vaults.VaultDriver",
    "agents.drivers.credentials.CredentialDriver",
]
FLEET_PORT = int(os.environ.get("POWERLOOM_FLEET_PORT", "8001"))
FLEET_URL = os.environ.get("POWERLOOM_FLEET_URL", "").rstrip("/") or f"http://127.0.0.1:{FLEET_PORT}"
API_URL = os.environ.get("POWERLOOM_API_URL", "").rstrip("/") or "http://127.0.0.1:8000/api"
DELEGATION_KEY = os.environ.get("POWERLOOM_DELEGATION_KEY", "")
MCP_HANDSHAKE_SECONDS = 15.0  # of one look at a foreign MCP server; clients wait 30
FILES = Path(os.environ.get("POWERLOOM_FILES") or HOME / "files").expanduser().resolve()
SESSION_IN_TURN = "sessions.queries.is_in_turn"
LIVE_SESSION = "sessions.queries.live_session_of"  # the apps below, the fleet among them, know no sessions
VISIBLE_SESSIONS = "sessions.queries.sessions_visible_to"
SLACK_URL = os.environ.get("POWERLOOM_SLACK_URL", "https://slack.com/api").rstrip("/")
RECONCILE_CONCURRENCY = int(os.environ.get("POWERLOOM_RECONCILE_CONCURRENCY", "16"))  # calls at once, each tick
INSTALLATION = "powerloom.audit.log.installation_id"
WEB_SLOTS = 16  # requests that one web process works on at once; the others wait their turn
MAX_SESSIONS_PER_PRINCIPAL = 500  # pending and running at once
MAX_SESSIONS_PER_ORGANIZATION = 5000
MAX_JSON_BODY = 1024 * 1024
MAX_SKILL_UPLOAD = 50 * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_SKILL_UPLOAD + 1024 * 1024

# Mail and links.

PUBLIC_URL = os.environ.get("POWERLOOM_URL", "http://127.0.0.1:8000").rstrip("/")
MAX_MAILS_PER_HOUR = 20  # to one person
DEFAULT_FROM_EMAIL = os.environ.get("POWERLOOM_MAIL_FROM", "powerloom@localhost")
EMAIL_TIMEOUT = 15
if _smtp := os.environ.get("POWERLOOM_SMTP_URL"):
    _parts = urlsplit(_smtp)
    EMAIL_HOST, EMAIL_PORT = _parts.hostname or "localhost", _parts.port or (465 if _parts.scheme == "smtps" else 587)
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = unquote(_parts.username or ""), unquote(_parts.password or "")
    EMAIL_USE_SSL, EMAIL_USE_TLS = _parts.scheme == "smtps", _parts.scheme == "smtp"
else:
    EMAIL_BACKEND, EMAIL_FILE_PATH = "django.core.mail.backends.filebased.EmailBackend", HOME / "mail"

# Static files and time.

LOGGING = configuration(os.environ.get("POWERLOOM_LOG_LEVEL", "INFO"))
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = None  # served straight from the sources; there is no build step
WHITENOISE_USE_FINDERS = True
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
