"""Tests of the counter and its answers. They need no Redis: ping/standin.py takes its place on a real socket."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from django.test import SimpleTestCase

from ping import waiting
from ping.counter import Counter, Unavailable
from ping.masters import Address, Fixed, NoSentinel, Sentinels
from ping.standin import PASSWORD, Node


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

    def test_a_hit_without_a_place_to_wait_is_told_at_once(self) -> None:
        node = self.node()
        node.refusals = ["LOADING Redis is loading the dataset in memory"] * 2
        waiting.wait_by(seats=1)
        self.addCleanup(waiting.wait_by, seats=100)
        with waiting.seat(), self.within(1.0), self.assertLogs("ping.counter"), self.assertRaisesRegex(Unavailable, "loading"):
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

    def test_a_sentinel_that_had_no_time_to_answer_is_asked_again(self) -> None:
        master = self.node()
        slow = self.sentinel(master.address, 1)
        slow.silent = True
        place = Sentinels([str(slow.address)], "master")
        with self.assertRaises(NoSentinel):
            place.locate(time.monotonic() + 0.02, urgent=False)
        slow.silent = False
        self.assertEqual(place.locate(time.monotonic() + 5, urgent=False), master.address)

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
