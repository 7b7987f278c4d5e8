"""Where the Redis master is: at a fixed name, or where the Sentinels say."""

import socket
import time
from typing import Any, NamedTuple, Protocol

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError, TimeoutError
from redis.retry import Retry

SENTINEL_PORT = 26379
CONNECT_TIMEOUT = 0.25
ANSWER_TIMEOUT = 0.5
SENTINEL_TIMEOUT = 0.25
# A Sentinel that didn't answer is left alone for so long while others do.
MUTE = 5.0


class Address(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class NoSentinel(ConnectionError):
    """Nobody is there to ask. The master may be well all the same."""


class Place(Protocol):
    # Whether the master can move without our connection to it noticing.
    moves: bool

    def locate(self, until: float, urgent: bool) -> Address:
        """The master's address, found before `until`; urgent when there is no other one to go on with."""


def connect(address: Address, timeout: float = ANSWER_TIMEOUT, password: str | None = None) -> Redis:
    """A client that tries once: redis-py's own retries would repeat an INCR without telling, and outlast our deadline.

    RESP2 and no driver_info keep the handshake at one AUTH. redis-py's plain ConnectionPool suits every worker: it
    never waits for a connection, and holds its lock only to take one out, not while it talks.
    """
    return Redis(
        host=address.host,
        port=address.port,
        password=password,
        socket_connect_timeout=min(CONNECT_TIMEOUT, timeout),
        socket_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
    )


def resolve(name: str, port: int) -> list[Address]:
    """Every address of a name, none when it has none now."""
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys(Address(str(address[0]), int(address[1])) for *_, address in found))


class Fixed:
    """The master is where a name points to."""

    moves = False

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port

    def locate(self, until: float, urgent: bool) -> Address:
        for address in resolve(self.host, self.port):
            return address
        raise ConnectionError(f"the name {self.host} has no address")


class Sentinels:
    """The master is where the best informed Sentinel says.

    redis-py's Sentinel class believes the first one that answers. One that was paused during a failover still names
    the old master when it wakes up, so all are asked, and the highest epoch of the configuration wins.
    """

    moves = True

    def __init__(self, names: list[str], master: str) -> None:
        self.names, self.master = names, master
        self._addresses: dict[str, list[Address]] = {}
        self._mute: dict[Address, float] = {}

    def locate(self, until: float, urgent: bool) -> Address:
        states = [state for address in self._candidates(urgent) if (state := self._ask(address, until))]
        if not states:
            raise NoSentinel(f"no Sentinel of {', '.join(self.names)} answers")
        epoch = max(state["config-epoch"] for state in states)
        newest = [state for state in states if state["config-epoch"] == epoch]
        address = Address(str(newest[0]["ip"]), int(newest[0]["port"]))
        if all(state["is_odown"] for state in newest):
            raise ConnectionError(f"the Sentinels hold the master {address} to be down, and have no new one yet")
        return address

    def _candidates(self, urgent: bool) -> list[Address]:
        for name in self.names:
            host, _, port = name.rpartition(":") if name.rpartition(":")[2].isdigit() else (name, "", "")
            # A stopped container's name goes away: then its last addresses are still worth a try.
            if found := resolve(host.strip("[]"), int(port or SENTINEL_PORT)):
                self._addresses[name] = found
        known = list(dict.fromkeys(address for found in self._addresses.values() for address in found))
        talking = [address for address in known if self._mute.get(address, 0.0) < time.monotonic()]
        return talking or (known if urgent else [])

    def _ask(self, address: Address, until: float) -> dict[str, Any] | None:
        left = min(SENTINEL_TIMEOUT, until - time.monotonic())
        if left <= 0:
            return None
        try:
            with connect(address, left) as client:
                state: dict[str, Any] = client.sentinel_master(self.master)
        except RedisError as error:
            # That it did not answer within what little was left says nothing about it.
            if left >= SENTINEL_TIMEOUT or not isinstance(error, TimeoutError):
                self._mute[address] = time.monotonic() + MUTE
            return None
        self._mute.pop(address, None)
        return state
