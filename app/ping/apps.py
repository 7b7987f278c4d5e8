"""The ping application: every hit adds one, and is told the number."""

from django.apps import AppConfig


class PingConfig(AppConfig):
    name = "ping"
