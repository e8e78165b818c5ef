"""Django's settings, all derived from ``compressionhub.env``."""

import contextlib
import re
import secrets
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import structlog
from csp.constants import NONE, SELF, UNSAFE_INLINE

from compressionhub import env

BASE_DIR = env.ROOT
DATA = env.DATA.read()
STORE = env.STORE.read()
STEP_CACHE_BYTES = env.CACHE_BYTES.read()
UPLOAD_BYTES = env.UPLOAD_BYTES.read()
QUOTA_BYTES = env.QUOTA_BYTES.read()
UPLOAD_HOURS = env.UPLOAD_HOURS.read()
REDIS_URL = env.REDIS_URL.read()
METRICS_TOKEN = env.METRICS_TOKEN.read()
DEBUG = env.DEBUG.read()
HTTPS = env.HTTPS.read()


def kept_secret(path: Path) -> str:
    """The secret in a file that only its owner reads; made up the first time."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    made.touch(mode=0o600)
    made.write_text(secrets.token_urlsafe(50))
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(made)  # the first of several processes wins, and all read what it wrote
    made.unlink()
    return path.read_text().strip()


def database(url: str) -> dict[str, Any]:
    """Django's description of the database at ``url``; SQLite in the data folder without one."""
    parts = urlsplit(url)
    if parts.scheme in ("postgres", "postgresql"):
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.lstrip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": parts.hostname or "",
            "PORT": str(parts.port or ""),
            "OPTIONS": dict(parse_qsl(parts.query)),
            "CONN_HEALTH_CHECKS": True,
        }
    if parts.scheme not in ("", "sqlite"):
        raise env.BadVariable("DATABASE_URL", parts.scheme, "an address that starts with postgres:// or sqlite://")
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": Path(unquote(parts.path)) if parts.path else DATA / "hub.sqlite3",
        "TEST": {"NAME": str(DATA / "test.sqlite3")},  # a file, because other processes open it as well
        # Measured with six writers: IMMEDIATE never met a locked database, DEFERRED did hundreds of times.
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }


SECRET_KEY = env.SECRET_KEY.read() or kept_secret(DATA / "secret-key")
ALLOWED_HOSTS = list(env.HOSTS.read())

INSTALLED_APPS = [
    "compressionhub.site",
    "compressionhub.zoo",
    "compressionhub.jobs",
    "compressionhub.estimates",
    "compressionhub.fleet",
    "compressionhub.library",
    "compressionhub.accounts",
    "compressionhub.ui",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "template_partials.apps.SimpleAppConfig",
    "csp",
    "axes",
]
if find_spec("django_linear_migrations"):  # part of the test requirements; keeps one line of history per app
    INSTALLED_APPS.append("django_linear_migrations")

MIDDLEWARE = [
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
    "compressionhub.accounts.middleware.TeamMiddleware",
    "compressionhub.errors.ProblemMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "compressionhub.urls"
ASGI_APPLICATION = "compressionhub.asgi.application"

_FROM_FILES = ["django.template.loaders.filesystem.Loader", "django.template.loaders.app_directories.Loader"]
_ONCE = _FROM_FILES if DEBUG else [("django.template.loaders.cached.Loader", _FROM_FILES)]
_COMPONENTS = ["compressionhub.ui.templatetags.hub", "compressionhub.ui.templatetags.figures"]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "frontend" / "templates"],
        "OPTIONS": {
            "loaders": [("template_partials.loader.Loader", _ONCE)],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "builtins": ["template_partials.templatetags.partials", *_COMPONENTS],
        },
    },
]

DATABASES = {"default": database(env.DATABASE_URL.read())}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        # redis-py's default time limit of 5 s would end every idle socket, its pool of 100 would refuse the rest.
        "CONFIG": {
            "hosts": [{"address": REDIS_URL, "socket_timeout": None, "max_connections": 2000}],
            "prefix": "hub:ws",
        },
    },
}

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "compressionhub.accounts.backends.NameOrEmailBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/sign-in/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/sign-in/"

AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ADMIN = False
AXES_LOCKOUT_CALLABLE = "compressionhub.accounts.views.locked_out"
AXES_USERNAME_CALLABLE = "compressionhub.accounts.backends.name_tried"
AXES_VERBOSE = False

SESSION_COOKIE_NAME = "hub_session"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_REDIRECT_EXEMPT = ["^healthz$"]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "compressionhub.errors.out_of_date"
CSRF_TRUSTED_ORIGINS = [f"https://{host}" for host in ALLOWED_HOSTS] if HTTPS else []

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        # ECharts places its tooltips by style attributes; a test sees that our own templates use none.
        "style-src-attr": [UNSAFE_INLINE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "object-src": [NONE],
        "frame-ancestors": [NONE],
    },
}

STATIC_URL = "/static/"
STATIC_ROOT = DATA / "static"
STATICFILES_DIRS = [BASE_DIR / "frontend" / "static"]
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = DEBUG
WHITENOISE_MAX_AGE = 0 if DEBUG else 3600
_HASHED = "compressionhub.site.static.HashedStaticFiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage" if DEBUG else _HASHED},
}

# An upload arrives in pieces of 8 MiB: one piece stays in memory instead of being written to disk twice.
FILE_UPLOAD_MAX_MEMORY_SIZE = DATA_UPLOAD_MAX_MEMORY_SIZE = 9 * env.MIB

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

# Tokens of ours, and whatever stands where the token of a share link does.
_TOKEN = re.compile(r"(chub_(?:share_)?)[\w-]{6,}|(?<=/shared/)[^/\s\"']+")


def without_tokens(logger: Any, name: str, line: str) -> str:
    """A finished line of the log with every token cut out: that of a link is part of an address."""
    return _TOKEN.sub(lambda found: f"{found.group(1) or ''}…", line)


_SHARED_PROCESSORS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
# Plain tracebacks: the renderer's own show local variables, and those may be secrets.
_LINES = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
_JSON = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
_RENDERERS: list[Any] = _JSON if env.LOG_JSON.read() else [_LINES]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "lines": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_RENDERERS, without_tokens],
            "foreign_pre_chain": _SHARED_PROCESSORS,
        },
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "lines"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "django": {"handlers": ["console"], "level": "INFO", "propagate": False},
        "django.request": {"level": "ERROR"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},  # anybody can cause one; the answer is a 400
        "axes": {"level": "WARNING"},
        "csp": {"level": "WARNING"},
    },
}
structlog.configure(
    processors=[*_SHARED_PROCESSORS, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
