"""The number of hits, kept in Redis under one key: one INCR a hit, on whichever Redis is master.

What a try again can repeat: Redis may have carried out an INCR whose answer we never saw (it was paused, or the
connection broke in between). The hit then counts twice: a number is skipped, but none is given twice by that. What an
asynchronous replica had not yet received when it became master is another matter: those numbers are given again.
"""

import functools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from django.conf import settings
from django_app.container import secret
from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import AuthenticationError, ConnectionError, ReadOnlyError, RedisError, TimeoutError

from ping.masters import ANSWER_TIMEOUT, Address, Fixed, NoSentinel, Place, Sentinels, connect
from ping.waiting import pause, seat

KEY = "count"
PROBE_DEADLINE, PROBE_PAUSE = 0.7, 0.05
# So long after its last sign of life a master is believed without asking the Sentinels. It must be shorter than any
# failover: a worker without a hit meanwhile would else add to an old master that was paused and is back.
FRESH = 1.0

log = logging.getLogger(__name__)
T = TypeVar("T")


class Unavailable(Exception):
    """A hit can't be counted now. Its text is the reason, for people."""


@dataclass(frozen=True)
class Hit:
    number: int
    master: str


@dataclass(eq=False)
class Master:
    address: Address
    client: Redis
    proved: float = field(default_factory=time.monotonic)


def passing(error: RedisError) -> bool:
    """Whether the same may work in a moment: after a failover, a restart, or when the replicas are back."""
    if isinstance(error, AuthenticationError):
        return False
    return isinstance(error, (ConnectionError, TimeoutError, ReadOnlyError)) or "NOREPLICAS" in str(error)


class Counter:
    """Remembers the master between hits. Safe with threads and greenlets: what is shared is replaced, never waited for."""

    def __init__(self, place: Place, password: Callable[[], str], deadline: float) -> None:
        self.place, self.password, self.deadline = place, password, deadline
        self._backoff = ExponentialBackoff(cap=0.5, base=0.05)
        self._master: Master | None = None
        self._failures = 0
        self._next_try = 0.0
        self._reason = ""

    def hit(self) -> Hit:
        """Add one. Tries again until the deadline; while Redis is away, one try serves all the hits that wait."""
        until = time.monotonic() + self.deadline
        if time.monotonic() >= self._next_try:
            try:
                return self._try(until, self._add)
            except RedisError as error:
                self._failed(error)
        with seat() as seated:
            while seated:
                wait = max(0.0, self._next_try - time.monotonic())
                if time.monotonic() + wait + ANSWER_TIMEOUT > until or not pause(wait):
                    break
                if time.monotonic() < self._next_try:
                    continue  # another hit has tried meanwhile, in vain
                try:
                    return self._try(until, self._add)
                except RedisError as error:
                    self._failed(error)
        raise Unavailable(self._reason)

    def probe(self) -> str:
        """The master's address, if a hit would count now. Reads only, and is short whatever hangs."""
        until = time.monotonic() + PROBE_DEADLINE
        told: RedisError | None = None
        while True:
            try:
                return self._try(until, self._role)
            except RedisError as error:
                late = time.monotonic() > until
                # A refusal or a broken connection may only say that the master that we remember is a former one. One that
                # hangs is forgotten too, but the time is up: the next probe asks for the new one.
                if not passing(error) or isinstance(error, TimeoutError) or late:
                    # What the deadline has cut short says less than the answer before it.
                    raise Unavailable(str(told if late and told else error)) from error
                told = error
                if not pause(PROBE_PAUSE):
                    raise Unavailable(str(error)) from error

    @staticmethod
    def _add(master: Master) -> Hit:
        # redis-py's incr() sends INCRBY; the course shows INCR.
        return Hit(int(master.client.execute_command("INCR", KEY)), str(master.address))  # type: ignore[no-untyped-call]

    @staticmethod
    def _role(master: Master) -> str:
        role = master.client.role()[0]
        if role not in (b"master", "master"):
            raise ReadOnlyError("it is a replica")
        return str(master.address)

    def _try(self, until: float, question: Callable[[Master], T]) -> T:
        """One question to the master, one round trip. A master that fails is forgotten."""
        master = self._find(until)
        try:
            answer = question(master)
        except RedisError as error:
            if self._master is master:
                self._master = None
            raise type(error)(f"Redis at {master.address}: {error}") from error
        master.proved = time.monotonic()
        self._failures, self._next_try = 0, 0.0
        return answer

    def _failed(self, error: RedisError) -> None:
        """Note a failure, and when a new try is worth it."""
        if not passing(error):
            raise Unavailable(str(error)) from error
        self._reason = str(error)
        wait = self._backoff.compute(self._failures)
        self._failures += 1
        self._next_try = time.monotonic() + wait
        log.warning("a hit waits for Redis: %s; next try in %.2f s", error, wait)

    def _find(self, until: float) -> Master:
        """The remembered master, or the one that stands there now."""
        master = self._master
        if master and (not self.place.moves or time.monotonic() - master.proved < FRESH):
            return master
        try:
            address = self.place.locate(until, urgent=master is None)
        except NoSentinel:
            if master:
                return master
            raise
        if master is None or master.address != address:
            log.info("the Redis master is %s", address)
            master = Master(address, connect(address, password=self.password()))
            self._master = master
        master.proved = time.monotonic()
        return master


@functools.cache
def counter() -> Counter:
    """The counter of this process, as the settings say."""
    place: Place
    if names := [name for name in settings.REDIS["SENTINELS"].split(",") if name]:
        place = Sentinels(names, settings.REDIS["MASTER"])
    else:
        place = Fixed(settings.REDIS["HOST"], settings.REDIS["PORT"])
    return Counter(place, lambda: secret("redis-password"), settings.REDIS["DEADLINE"])
