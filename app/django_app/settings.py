"""Settings of the project. Everything that differs between two places comes from the environment, secrets from files."""

import os
import sys

from django.utils.functional import SimpleLazyObject

from django_app.container import own_names, secret

DEBUG = os.environ.get("DJANGO_DEBUG") == "1"

# Read when it is first needed. A missing file is an error that names it.
SECRET_KEY = SimpleLazyObject(lambda: secret("django-secret-key"))

# The container's own health check and HAProxy's ask for localhost, whatever names the site has.
ALLOWED_HOSTS = [
    "localhost",
    *filter(None, os.environ.get("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").replace(" ", "").split(",")),
    *own_names(),
]

INSTALLED_APPS = ["ping"]

MIDDLEWARE = [
    "ping.middleware.served_by",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "django_app.urls"
WSGI_APPLICATION = "django_app.wsgi.application"

TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

# The number lives in Redis (ping/counter.py). There is nothing else to keep, hence no database, session or login.
DATABASES: dict[str, dict[str, object]] = {}

REDIS = {
    "HOST": os.environ.get("REDIS_HOST", "db"),
    "PORT": int(os.environ.get("REDIS_PORT", "6379")),
    # "sentinel:26379,other:26379": when there are any, they are asked for the master, and HOST isn't used.
    "SENTINELS": os.environ.get("SENTINELS", "").replace(" ", ""),
    "MASTER": os.environ.get("SENTINEL_MASTER", "master"),
    # Seconds in which a hit must be counted, whatever happens to Redis meanwhile.
    "DEADLINE": float(os.environ.get("REDIS_DEADLINE", "10")),
}

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"

SECURE_REFERRER_POLICY = "no-referrer"
X_FRAME_OPTIONS = "DENY"

# `check --deploy` finds nothing else. This stack speaks plain HTTP (TLS would end in front of it), and no form is here
# that a forged request could send.
SILENCED_SYSTEM_CHECKS = [
    "security.W003",  # no CsrfViewMiddleware: only GET and HEAD are answered, by views without cookies
    "security.W004",  # no HSTS: it is for the one who ends TLS to promise
    "security.W008",  # no redirect to HTTPS: there is no HTTPS here
]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stdout": {"class": "logging.StreamHandler", "stream": sys.stdout, "formatter": "line"}},
    "root": {"handlers": ["stdout"], "level": os.environ.get("LOG_LEVEL", "INFO")},
    "loggers": {
        # Django's own handlers would write to standard error, and by mail.
        "django": {"handlers": [], "propagate": True},
        # A traceback for each scanner that passes by: the access log's line with its 400 says enough.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}
