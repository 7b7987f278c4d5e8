"""`logs`: times and lines as the engine writes them, their order, what a reader sees, and threads that end."""

from __future__ import annotations

import io
import os
import queue
import random
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from docker.errors import NotFound

from silverlining.console.columns import Columns, folded, printable
from silverlining.console.voice import Voice
from silverlining.model import labels, logs
from silverlining.model.errors import EngineError, SilverliningError
from silverlining.model.logs import NANO, Assembler, Line, Merger, nanoseconds, written
from silverlining.model.observed import SeenContainer
from silverlining.ops.logs import Reader, show_logs

from .test_voice import Terminal

NOW = nanoseconds("2026-11-24T12:00:00.5Z")


def at(second: float, text: str = "") -> bytes:
    """A line as the engine sends it, `second` seconds after noon."""
    stamp = nanoseconds("2026-11-24T12:00:00Z") + int(second * 1000) * 1_000_000
    return f"{written(stamp)} {text}".encode()


# ---- what is typed


@pytest.mark.parametrize(
    ("text", "ago"),
    (("90s", 90), ("5m", 300), ("2h", 7200), ("1h30m", 5400), ("1d", 86400), (" 5m ", 300), ("0s", 0)),
)
def test_an_age(text: str, ago: int) -> None:
    assert logs.since(text, NOW) == NOW - ago * NANO


@pytest.mark.parametrize("text", ("2026-11-24T11:59:00Z", "2026-11-24T11:59:00+00:00", "2026-11-24T12:59:00+01:00", "2026-11-24T11:59:00.000000000Z"))
def test_a_time(text: str) -> None:
    assert logs.since(text, NOW) == nanoseconds("2026-11-24T11:59:00Z")


WRONG = ("", "5", "-5m", "5x", "5m5", "m", "yesterday", "99999999999999999999d", "2026-13-01", "2027-01-01", "1.5h", "٥m")


@pytest.mark.parametrize("text", WRONG)
def test_no_time(text: str) -> None:
    with pytest.raises(SilverliningError, match="no time that has passed") as caught:
        logs.since(text, NOW)
    assert "5m" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "everything", "lines"), (("", False, 50), ("", True, "all"), ("all", False, "all"), ("7", True, 7), ("0", False, 0))
)
def test_a_number_of_lines(text: str, everything: bool, lines: int | str) -> None:
    assert logs.tail(text, everything) == lines


@pytest.mark.parametrize("text", ("-1", "x", "1.5", "9" * 20))
def test_no_number_of_lines(text: str) -> None:
    with pytest.raises(SilverliningError, match="no number of lines"):
        logs.tail(text, False)


# ---- times and lines


@pytest.mark.parametrize(
    ("text", "stamp"),
    (
        ("1970-01-01T00:00:01Z", NANO),
        ("1970-01-01T00:00:01.000000007Z", NANO + 7),
        ("1970-01-01T00:00:01.5Z", NANO * 3 // 2),
        ("1970-01-01T01:00:01.25+01:00", NANO * 5 // 4),
    ),
)
def test_the_engines_times(text: str, stamp: int) -> None:
    assert nanoseconds(text) == stamp


def test_a_time_as_it_is_shown() -> None:
    assert written(nanoseconds("2026-11-24T12:00:00.123456789Z")) == "2026-11-24T12:00:00.123Z"
    with pytest.raises(ValueError, match="noon"):
        nanoseconds("noon")


def texts(*pieces: bytes) -> list[str]:
    assembler = Assembler("app")
    return [line.text for piece in pieces for line in assembler.feed(piece)] + [line.text for line in assembler.end()]


def test_pieces_become_lines() -> None:
    assert texts(at(1, "one\n"), at(2, "two\n")) == ["one", "two"]
    assert texts(at(1, "one\n") + at(2, "two\r\n") + at(3, "\n")) == ["one", "two", ""]
    assert texts(at(1, "a" * 9), at(2, "b" * 9), at(3, "c\n"), at(4, "last")) == ["a" * 9 + "b" * 9 + "c", "last"]
    assert texts(at(1) + b"\xff\n") == ["\ufffd"]
    assert texts() == []


def test_a_line_keeps_the_time_of_its_beginning() -> None:
    assembler = Assembler("app")
    (line,) = [*assembler.feed(at(1, "begin ")), *assembler.feed(at(2, "end\n"))]
    assert line == Line(nanoseconds("2026-11-24T12:00:01Z"), "app", "begin end")


# ---- order


def test_lines_come_in_order_of_time_whatever_the_order_of_their_arrival() -> None:
    dice = random.Random(7)
    lines = [Line(stamp, f"c{dice.randrange(5)}", str(stamp)) for stamp in range(500)]
    merger, out = Merger(hold=1.0), []
    # A line comes up to 0.9 s after the engine has stamped it; stamps are 10 ms apart.
    arrivals = sorted(((line.stamp / 100 + dice.random() * 0.9, line) for line in lines), key=lambda pair: pair[0])
    for now, line in arrivals:
        out += list(merger.ready(now))
        merger.push(line, now)
    out += list(merger.rest())
    assert out == lines


def test_a_line_is_held_back_for_a_moment_only() -> None:
    merger = Merger(hold=0.25)
    merger.push(Line(2, "b", "second"), 10.0)
    assert not list(merger.ready(10.2))
    merger.push(Line(1, "a", "first"), 10.2)
    assert [line.text for line in merger.ready(10.25)] == ["first", "second"]
    assert not list(merger.ready(99)) and not list(merger.rest())


def test_lines_of_one_moment_keep_the_order_of_their_arrival() -> None:
    merger = Merger(hold=0)
    for text in "abc":
        merger.push(Line(5, text, text), 1.0)
    assert [line.text for line in merger.ready(1.0)] == ["a", "b", "c"]


# ---- what is seen


def test_a_pipe_gets_whole_lines_with_a_name_in_front() -> None:
    columns = Columns(Voice(stream := io.StringIO()), ["app-1", "redis-master-1"])
    columns.write("app-1", "x" * 200 + "\x1b[31mred")
    columns.write("app-10", "new", note=True)
    assert stream.getvalue().splitlines() == ["app-1          | " + "x" * 200 + "\x1b[31mred", "app-10         | new"]


def test_a_terminal_of_60_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    columns = Columns(Voice(stream := Terminal()), ["redis-master-1", "app-1"])
    columns.write("app-1", "word " * 30 + "\x1b[2J\x07\tend")
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) == 60 and "\x1b" not in stream.getvalue() and "\x07" not in stream.getvalue()
    assert lines[0].startswith("app-1          | word") and all(line.startswith("               | ") for line in lines[1:])
    assert "".join(line[17:] for line in lines) == "word " * 30 + "  end"


def test_each_container_has_a_colour_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    columns = Columns(Voice(stream := Terminal()), ["a", "b"])
    for name in ("a", "b", "a"):
        columns.write(name, name)
    first, second, third = (line.split("m", 1)[0] for line in stream.getvalue().splitlines())
    assert first == third != second and first.startswith("\x1b[")


def test_wide_characters_count_as_two() -> None:
    assert list(folded("银色的一线", 4)) == ["银色", "的一", "线"]
    assert list(folded("", 4)) == [] and printable("a\tb\r\x00") == "a  b"


# ---- the streams


class Stream:
    """A stream of the engine: what is put comes out, until it is closed by either side."""

    def __init__(self) -> None:
        self.queue: queue.Queue[Any] = queue.Queue()
        self.closed = False

    def __iter__(self) -> Iterator[Any]:
        return iter(self.queue.get, None)

    def put(self, what: Any) -> None:
        self.queue.put(what)

    def close(self) -> None:
        self.closed = True
        self.queue.put(None)


class Client:
    """An engine with logs: `written` before, and a stream for what comes. `starts` are the times of starts of what runs."""

    def __init__(self, **written: list[bytes]) -> None:
        self.streams = 1000
        self.starts = dict.fromkeys(written, "noon")
        self.written = written
        self.live: dict[str, list[Stream]] = {}
        self.watched = Stream()
        self.asked: list[dict[str, Any]] = []

    def info(self) -> dict[str, str]:
        return {"SystemTime": "2026-11-24T12:00:00.500000000Z"}

    def logs(self, identity: str, *, follow: bool, stream: bool, **more: Any) -> Any:
        self.asked.append({"identity": identity, "follow": follow, **more})
        if identity not in self.written:
            raise NotFound("gone")
        if not stream:
            assert not follow
            lines = self.written[identity]
            return b"".join(lines if more["tail"] == "all" else lines[-more["tail"] :])
        if not follow:
            return iter(self.written[identity])
        opened = Stream()
        self.live.setdefault(identity, []).append(opened)
        return opened

    def inspect_container(self, identity: str) -> dict[str, Any]:
        if identity not in self.written:
            raise NotFound("gone")
        return {"State": {"Running": identity in self.starts, "StartedAt": self.starts.get(identity, "")}}

    def events(self, **more: Any) -> Stream:
        return self.watched

    def containers(self, **more: Any) -> list[dict[str, Any]]:
        return [
            {
                "Id": name,
                "Names": [f"/silver-{name}"],
                "Labels": {labels.STACK: "silver", labels.SERVICE: name.rsplit("-", 1)[0], labels.INDEX: name[-1]},
                "NetworkSettings": {"Networks": {}},
                "Status": "",
                "State": "running",
                "Image": "",
            }
            for name in self.written
        ]

    def happens(self, action: str, name: str, second: float, **more: str) -> None:
        stamp = nanoseconds("2026-11-24T12:00:00Z") + int(second * NANO)
        marks = {labels.SERVICE: name.rsplit("-", 1)[0], "name": f"silver-{name}", **more}
        self.watched.put({"Action": action, "timeNano": stamp, "Actor": {"ID": name, "Attributes": marks}})


def desk(client: Client, stream: Any) -> Any:
    host = SimpleNamespace(client=client, engine=SimpleNamespace(streams=client.streams))
    return cast(Any, SimpleNamespace(host=host, voice=Voice(stream), settings=SimpleNamespace(stack="silver")))


HISTORY = {"app-1": [at(0.1, "a\n"), at(0.3, "c\n")], "redis-1": [at(0.2, "b\n"), at(0.4, "d\n")]}


def test_what_is_there_comes_in_order_of_time() -> None:
    client = Client(**HISTORY)
    show_logs(desk(client, stream := io.StringIO()), [], timestamps=True)
    assert stream.getvalue().splitlines() == [
        "app-1   | 2026-11-24T12:00:00.100Z a",
        "redis-1 | 2026-11-24T12:00:00.200Z b",
        "app-1   | 2026-11-24T12:00:00.300Z c",
        "redis-1 | 2026-11-24T12:00:00.400Z d",
    ]
    assert {asked["tail"] for asked in client.asked} == {50} and {asked["since"] for asked in client.asked} == {None}


@pytest.mark.parametrize("services", (["redis"], ["redis,redis"], [" redis , "]))
def test_one_service(services: list[str]) -> None:
    show_logs(desk(Client(**HISTORY), stream := io.StringIO()), services, since="2026-11-24T12:00:00.3Z")
    assert stream.getvalue() == "redis-1 | d\n"


@pytest.mark.parametrize(("service", "what"), (("netdata", "netdata does not stand now"), ("nope", "nope: there is no such service")))
def test_a_service_that_does_not_stand(service: str, what: str) -> None:
    with pytest.raises(SilverliningError, match=what) as caught:
        show_logs(desk(Client(**HISTORY), io.StringIO()), ["app", service])
    assert "what stands: app, redis" in caught.value.hint


def test_nothing_stands() -> None:
    with pytest.raises(SilverliningError, match="nothing of silver stands"):
        show_logs(desk(Client(), io.StringIO()), [])


class Following:
    """`logs --follow` in a thread of its own, writing into a pipe that is read here; its threads must end with it."""

    def __init__(self, client: Client, services: list[str] | None = None) -> None:
        self.client, self.services = client, services or []
        self.errors: list[BaseException] = []

    def __enter__(self) -> Following:
        self.before = set(threading.enumerate())
        reader, writer = os.pipe()
        self.out = os.fdopen(reader)
        self.into = os.fdopen(writer, "w")
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def _run(self) -> None:
        try:
            show_logs(desk(self.client, self.into), self.services, follow=True)
        except SilverliningError as error:
            self.errors.append(error)

    def stream(self, identity: str, number: int = 0) -> Stream:
        end = time.monotonic() + 10
        while len(self.client.live.get(identity, ())) <= number:
            assert time.monotonic() < end, f"{identity} is not followed"
            time.sleep(0.01)
        return self.client.live[identity][number]

    def lines(self, count: int) -> list[str]:
        return [self.out.readline().rstrip("\n") for _n in range(count)]

    def __exit__(self, *words: object) -> None:
        self.out.close()  # the reader goes, and nothing more is written
        self.thread.join(10)
        assert not self.thread.is_alive(), "a reader who has gone isn't noticed"
        assert set(threading.enumerate()) <= self.before, "threads are left"
        assert self.client.watched.closed and all(s.closed for streams in self.client.live.values() for s in streams)


def test_what_comes_is_followed_without_repeating_what_was_there() -> None:
    client = Client(**HISTORY)
    with Following(client) as following:
        assert following.lines(4) == ["app-1   | a", "redis-1 | b", "app-1   | c", "redis-1 | d"]
        app, redis = following.stream("app-1"), following.stream("redis-1")
        app.put(at(0.3, "c\n"))
        app.put(at(0.9, "f\n"))
        redis.put(at(0.8, "e\n"))
        assert following.lines(2) == ["redis-1 | e", "app-1   | f"]
    assert not following.errors


def test_a_container_that_comes_and_one_that_goes() -> None:
    client = Client(**{"app-1": HISTORY["app-1"]})
    with Following(client) as following:
        following.lines(2)
        app = following.stream("app-1")
        client.written["app-2"] = []
        client.happens("start", "app-1", 0.05)  # before the history: no news
        client.happens("start", "app-2", 1.0)
        following.stream("app-2").put(at(1.1, "hello\n"))
        app.put(at(1.2, "bye\n"))
        client.happens("die", "app-1", 1.3, exitCode="137")
        app.close()
        assert following.lines(4) == ["app-2 | started", "app-2 | hello", "app-1 | bye", "app-1 | ended with exit code 137"]
        client.happens("start", "app-1", 2.0)
        again = following.stream("app-1", 1)
        again.put(at(1.2, "bye\n"))
        again.put(at(2.1, "back\n"))
        assert following.lines(2) == ["app-1 | started", "app-1 | back"]
    assert not following.errors


def test_where_few_streams_can_be_open_the_logs_are_read_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("silverlining.ops.logs.POLL", 0.05)
    monkeypatch.setattr("silverlining.ops.logs.AT_A_TIME", 3)
    client = Client(**HISTORY)
    client.streams = 3
    with Following(client) as following:
        assert following.lines(4) == ["app-1   | a", "redis-1 | b", "app-1   | c", "redis-1 | d"]
        # More than one reading takes, and a line that is not complete.
        client.written["app-1"] = [*HISTORY["app-1"], *(at(1 + n / 10, f"{n}\n") for n in range(6)), at(1.7, "half")]
        assert following.lines(6) == [f"app-1   | {n}" for n in range(6)]
        client.written["app-1"][-1] = at(1.7, "half and half\n")
        assert following.lines(1) == ["app-1   | half and half"]
        client.written["app-1"].append(at(1.9, "bye\n"))
        client.starts["app-1"] = "later"
        client.happens("die", "app-1", 2.0, exitCode="1")
        client.happens("start", "app-1", 2.1)
        assert following.lines(3) == ["app-1   | bye", "app-1   | ended with exit code 1", "app-1   | started"]
        client.written["app-1"].append(at(2.2, "back\n"))
        del client.starts["app-1"], client.starts["redis-1"]
        assert following.lines(1) == ["app-1   | back"]
    assert not following.errors and not client.live


def test_only_the_service_that_was_named_is_followed() -> None:
    with Following(Client(**HISTORY), ["redis"]) as following:
        following.client.written["app-2"] = following.client.written["redis-2"] = []
        following.client.happens("start", "app-2", 1.0)
        following.client.happens("start", "redis-2", 1.1)
        assert following.lines(3)[2] == "redis-2 | started"
    assert "app-2" not in following.client.live and "app-1" not in following.client.live


def test_an_engine_that_goes_is_an_error() -> None:
    following = Following(Client(**HISTORY))
    with following:
        following.lines(4)
        following.client.watched.put(None)
        following.thread.join(10)
        following.client.watched.closed = True
    assert [type(error) for error in following.errors] == [EngineError]


def test_ctrl_c_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*words: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Reader, "history", interrupted)
    show_logs(desk(Client(**HISTORY), io.StringIO()), [], follow=True)


def test_a_container_that_has_gone_meanwhile_has_no_lines() -> None:
    gone = SeenContainer("gone-1", "silver-gone-1", "gone", 1, "", "", "running", "", "", "")
    reader = Reader(desk(Client(**HISTORY), stream := io.StringIO()), (gone,), False)
    reader.history(0, "all")
    assert stream.getvalue() == ""


def test_nobody_reads_any_more() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        voice = Voice(stream)
        assert not voice.deserted()
        os.close(reader)
        assert voice.deserted()
    assert not Voice(io.StringIO()).deserted() and Voice(io.StringIO(), quiet=True).deserted()
