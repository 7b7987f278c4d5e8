"""Tests of the counter and its answers. They need no Redis: a few lines of a real socket server stand in for it."""

import os
import socketserver
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.test import SimpleTestCase
from django_app.container import cpus, secret, workers

from ping import waiting
from ping.counter import Counter, Unavailable
from ping.masters import Address, Fixed, NoSentinel, Sentinels

PASSWORD = "not a secret"


class Node(socketserver.ThreadingTCPServer):
    """Answers like Redis, or like a Sentinel, from a table; keeps what it was asked."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Talk)
        self.asked: list[list[str]] = []
        self.number = 0
        self.role = "master"
        self.silent = False
        self.refusals: list[str] = []
        self.state: dict[str, object] = {}
        self.address = Address(*self.server_address[:2])

    def believe(self, master: Address, epoch: int, flags: str = "master") -> None:
        """Make it a Sentinel that holds this to be the master."""
        self.state = {"name": "master", "ip": master.host, "port": master.port, "flags": flags, "config-epoch": epoch}

    def reply(self, words: list[str]) -> str:
        command = words[0].upper()
        if command == "AUTH":
            return "+OK" if words[1] == PASSWORD else "-WRONGPASS invalid username-password pair"
        self.asked.append(words)
        if self.refusals:
            return "-" + self.refusals.pop(0)
        if command == "INCR":
            self.number += 1
            return f":{self.number}"
        if command == "ROLE":
            return f"*1\r\n${len(self.role)}\r\n{self.role}"
        items = [str(item) for pair in self.state.items() for item in pair]
        return "\r\n".join([f"*{len(items)}", *(f"${len(item)}\r\n{item}" for item in items)])


class Talk(socketserver.StreamRequestHandler):
    server: Node

    def handle(self) -> None:
        while head := self.rfile.readline():
            words = []
            for _ in range(int(head[1:])):
                size = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(size + 2)[:-2].decode())
            if self.server.silent:
                continue
            self.wfile.write(f"{self.server.reply(words)}\r\n".encode())


class WithNodes(SimpleTestCase):
    def node(self) -> Node:
        node = Node()
        threading.Thread(target=node.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.addCleanup(node.server_close)
        self.addCleanup(node.shutdown)
        return node

    def sentinel(self, master: Address, epoch: int, flags: str = "master") -> Node:
        node = self.node()
        node.believe(master, epoch, flags)
        return node

    def counter(self, *sentinels: Node, deadline: float = 2.0) -> Counter:
        return Counter(Sentinels([str(s.address) for s in sentinels], "master"), lambda: PASSWORD, deadline)

    def direct(self, node: Node, password: str = PASSWORD, deadline: float = 2.0) -> Counter:
        return Counter(Fixed(*node.address), lambda: password, deadline)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.assertLess(time.monotonic() - start, seconds)


class CounterTests(WithNodes):
    def test_a_hit_is_one_incr(self) -> None:
        node = self.node()
        counter = self.direct(node)
        self.assertEqual([counter.hit().number for _ in range(3)], [1, 2, 3])
        self.assertEqual(node.asked, [["INCR", "count"]] * 3)
        self.assertEqual(counter.hit().master, str(node.address))

    def test_a_probe_reads_only(self) -> None:
        node = self.node()
        self.assertEqual(self.direct(node).probe(), str(node.address))
        self.assertEqual(node.asked, [["ROLE"]])

    def test_a_probe_of_a_replica_says_so(self) -> None:
        node = self.node()
        node.role = "slave"
        with self.assertRaisesRegex(Unavailable, "it is a replica"):
            self.direct(node).probe()

    def test_a_probe_is_short_when_redis_hangs(self) -> None:
        node = self.node()
        node.silent = True
        with self.within(1.2), self.assertRaisesRegex(Unavailable, "Timeout"):
            self.direct(node).probe()

    def test_a_hit_waits_for_a_redis_that_loads(self) -> None:
        node = self.node()
        node.refusals = ["LOADING Redis is loading the dataset in memory", "NOREPLICAS Not enough good replicas to write."]
        with self.assertLogs("ping.counter", "WARNING") as log:
            self.assertEqual(self.direct(node).hit().number, 1)
        self.assertEqual(len(log.output), 2)

    def test_a_hit_gives_up_at_its_deadline(self) -> None:
        node = self.node()
        node.silent = True
        with self.within(2.0), self.assertLogs("ping.counter"), self.assertRaisesRegex(Unavailable, str(node.address)):
            self.direct(node, deadline=1.2).hit()

    def test_a_wrong_password_is_not_tried_again(self) -> None:
        node = self.node()
        with self.within(1.0), self.assertRaises(Unavailable):
            self.direct(node, password="wrong", deadline=5).hit()
        self.assertEqual(node.asked, [])

    def test_a_hit_gives_up_when_its_worker_stops(self) -> None:
        node = self.node()
        node.silent = True
        waiting.stopping.set()
        self.addCleanup(waiting.stopping.clear)
        with self.within(1.5), self.assertLogs("ping.counter"), self.assertRaises(Unavailable):
            self.direct(node, deadline=10).hit()

    def test_a_name_without_an_address(self) -> None:
        with self.assertRaisesRegex(Unavailable, "no-such-name.invalid has no address"):
            Counter(Fixed("no-such-name.invalid", 6379), lambda: PASSWORD, 1).probe()


class SentinelTests(WithNodes):
    def test_the_highest_epoch_wins(self) -> None:
        old, new = self.node(), self.node()
        counter = self.counter(self.sentinel(old.address, 3), self.sentinel(new.address, 4))
        self.assertEqual(counter.hit().master, str(new.address))

    def test_the_master_is_remembered(self) -> None:
        master = self.node()
        sentinel = self.sentinel(master.address, 1)
        counter = self.counter(sentinel)
        for _ in range(5):
            counter.hit()
        self.assertEqual(len(sentinel.asked), 1)

    def test_a_demoted_master_is_left_and_the_number_kept(self) -> None:
        old, new = self.node(), self.node()
        sentinel = self.sentinel(old.address, 1)
        counter = self.counter(sentinel)
        counter.hit()
        old.refusals = ["READONLY You can't write against a read only replica."]
        new.number = 1
        sentinel.believe(new.address, 2)
        with self.assertLogs("ping.counter"):
            self.assertEqual(counter.hit().number, 2)

    def test_an_idle_worker_asks_again_before_it_believes_an_old_master(self) -> None:
        old, new = self.node(), self.node()
        sentinel = self.sentinel(old.address, 1)
        counter = self.counter(sentinel)
        counter.hit()
        sentinel.believe(new.address, 2)
        with mock.patch("ping.counter.FRESH", 0.0):
            self.assertEqual(counter.hit().master, str(new.address))
        self.assertEqual(old.number, 1)

    def test_without_sentinels_a_master_that_answers_stays(self) -> None:
        master = self.node()
        sentinel = self.sentinel(master.address, 1)
        counter = self.counter(sentinel)
        counter.hit()
        sentinel.silent = True
        with mock.patch("ping.counter.FRESH", 0.0):
            self.assertEqual([counter.hit().number for _ in range(3)], [2, 3, 4])

    def test_a_paused_sentinel_costs_a_quarter_second_once(self) -> None:
        master = self.node()
        paused = self.sentinel(master.address, 1)
        paused.silent = True
        place = Sentinels([str(paused.address), str(self.sentinel(master.address, 1).address)], "master")
        with self.within(0.45):
            self.assertEqual(place.locate(time.monotonic() + 5, urgent=True), master.address)
        with self.within(0.2):
            place.locate(time.monotonic() + 5, urgent=True)

    def test_no_sentinel_answers(self) -> None:
        paused = self.node()
        paused.silent = True
        with self.within(0.6), self.assertRaises(NoSentinel):
            Sentinels([str(paused.address)], "master").locate(time.monotonic() + 5, urgent=True)

    def test_no_new_master_yet(self) -> None:
        counter = self.counter(self.sentinel(self.node().address, 1, "s_down,o_down,master"))
        with self.assertRaisesRegex(Unavailable, "have no new one yet"):
            counter.probe()


class AnswerTests(WithNodes):
    def setUp(self) -> None:
        self.redis = self.node()
        patch = mock.patch("ping.views.counter", return_value=self.direct(self.redis, deadline=0.1))
        patch.start()
        self.addCleanup(patch.stop)

    def test_text_for_curl(self) -> None:
        for accept in ({}, {"HTTP_ACCEPT": "*/*"}, {"HTTP_ACCEPT": "application/json"}):
            answer = self.client.get("/", **accept)
            self.assertEqual(answer["Content-Type"], "text/plain; charset=utf-8")
        self.assertEqual(answer.content, b"3\n")

    def test_a_page_for_a_browser(self) -> None:
        answer = self.client.get("/", HTTP_ACCEPT="text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
        self.assertContains(answer, '<h1 class="number">1</h1>')
        self.assertContains(answer, answer["X-Served-By"])
        self.assertContains(answer, str(self.redis.address))

    def test_only_get_counts(self) -> None:
        self.assertEqual(self.client.head("/").status_code, 200)
        for method in ("post", "put", "delete", "options"):
            with self.assertLogs("django.request", "WARNING"):
                self.assertEqual(getattr(self.client, method)("/").status_code, 405)
        self.assertEqual(self.client.get("/healthz").json(), {"ok": True, "master": str(self.redis.address)})
        self.assertEqual(self.redis.number, 0)

    def test_every_answer_says_who_and_is_not_kept(self) -> None:
        with self.assertLogs("django.request"):
            answers = [self.client.get(path) for path in ("/", "/healthz", "/no-such-page")]
            answers.append(self.client.get("/", HTTP_HOST="elsewhere.example"))
        self.assertEqual([answer.status_code for answer in answers], [200, 200, 404, 400])
        for answer in answers:
            self.assertTrue(answer["X-Served-By"])
            self.assertEqual(answer["Cache-Control"], "no-store")

    def test_not_counted(self) -> None:
        self.redis.silent = True
        with self.assertLogs("django.request"), self.assertLogs("ping.counter"):
            text, page = self.client.get("/"), self.client.get("/", HTTP_ACCEPT="text/html")
            health = self.client.get("/healthz")
        for answer in (text, page, health):
            self.assertEqual((answer.status_code, answer["Retry-After"]), (503, "2"))
        self.assertIn("not counted: Redis at", text.content.decode())
        self.assertContains(page, "Not counted", status_code=503)
        self.assertIn("Redis at", health.json()["reason"])


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
