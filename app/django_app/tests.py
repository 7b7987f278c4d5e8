"""Tests of what comes from the container: secrets, the CPU share, settings fit to be deployed."""

import os
import tempfile
from pathlib import Path
from unittest import mock

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.test import SimpleTestCase

from django_app.container import cpus, secret, workers


class ContainerTests(SimpleTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        patch = mock.patch.dict(os.environ, {"SECRETS_DIR": folder.name, "DJANGO_SECRET_KEY": "from the environment"})
        patch.start()
        self.addCleanup(patch.stop)

    def test_a_secret_is_stripped(self) -> None:
        (self.folder / "redis-password").write_text("abc\n")
        self.assertEqual(secret("redis-password"), "abc")

    def test_a_missing_secret_names_its_file(self) -> None:
        with self.assertRaisesRegex(ImproperlyConfigured, str(self.folder / "redis-password")):
            secret("redis-password")
        with self.assertRaisesRegex(ImproperlyConfigured, str(self.folder / "django-secret-key")):
            str(settings.SECRET_KEY)

    def test_the_cpu_share(self) -> None:
        allowed = float(len(os.sched_getaffinity(0)))
        self.assertEqual(cpus(self.folder), allowed)
        (self.folder / "cpu").mkdir()
        (self.folder / "cpu/cpu.cfs_quota_us").write_text("-1\n")
        (self.folder / "cpu/cpu.cfs_period_us").write_text("100000\n")
        self.assertEqual(cpus(self.folder), allowed)
        (self.folder / "cpu/cpu.cfs_quota_us").write_text("50000\n")
        self.assertEqual(cpus(self.folder), 0.5)
        (self.folder / "cpu.max").write_text("max 100000\n")
        self.assertEqual(cpus(self.folder), allowed)
        (self.folder / "cpu.max").write_text("25000 100000\n")
        self.assertEqual(cpus(self.folder), 0.25)

    def test_there_is_always_a_worker(self) -> None:
        with mock.patch("django_app.container.cpus", return_value=0.1):
            self.assertEqual(workers(), 1)

    def test_django_finds_nothing_to_complain_about(self) -> None:
        (self.folder / "django-secret-key").write_text("0123456789abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVW")
        call_command("check", deploy=True, fail_level="WARNING")
