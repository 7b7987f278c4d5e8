"""Settings: every way of giving one, every kind of mistake with its path, and the example as the schema."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

import pytest

from silverlining.model.errors import SettingsError
from silverlining.model.settings import FREE_FORM, KEY, PREFIX, Settings, leaves, load, variable
from silverlining.ops.settings import read_settings

from .builders import EXAMPLE

SCHEMA = dict(leaves(EXAMPLE[KEY]))


def paths(kind: Any, prefix: str = "") -> set[str]:
    """The paths of all fields of the dataclasses; a mapping that isn't free-form ends in a star."""
    hints = get_type_hints(kind)
    found: set[str] = set()
    for field in fields(kind):
        path, hint = f"{prefix}{field.name}", hints[field.name]
        if is_dataclass(hint):
            found |= paths(hint, f"{path}.")
        else:
            found.add(f"{path}.*" if str(hint).startswith("dict") and path not in FREE_FORM else path)
    return found


def value_of(settings: Settings, path: str) -> Any:
    value: Any = settings
    for name in path.split("."):
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    return value


def test_the_example_is_the_schema_and_the_dataclasses_are_the_same() -> None:
    assert {"counts.*" if path.startswith("counts.") else path for path in SCHEMA} == paths(Settings)


def test_the_examples_values_are_the_defaults() -> None:
    assert all(value_of(load(EXAMPLE), path) == value for path, value in SCHEMA.items())


def test_variables_are_unambiguous() -> None:
    assert len({variable(path) for path in SCHEMA}) == len(SCHEMA)


OTHER: dict[str, tuple[str, Any]] = {
    "stack": ("other-1", "other-1"),
    "docker_host": ("unix:///x", "unix:///x"),
    "deadline": ("7.5", 7.5),
    **{f"ports.{name}": (str(7000 + n), 7000 + n) for n, name in enumerate(("web", "app", "stats", "etcd", "netdata"))},
    "counts.ping-app": ("5", 5),
    "counts.redis-slave": ("4", 4),
    "counts.sentinel": ("5", 5),
    "network.subnet": ("10.1.2.0/24", "10.1.2.0/24"),
    "network.pool": ("10.1.0.0/16", "10.1.0.0/16"),
    "health.interval": ("3", 3),
    "redis.down_after": ("0.5", 0.5),
    "redis.failover_timeout": ("20", 20.0),
    "app.worker_class": ("gthread", "gthread"),
    "app.workers": ("2", 2),
    "app.threads": ("8", 8),
    "app.cpus": ("0.5", 0.5),
    "app.allowed_hosts": ("a.example, b.example", ["a.example", "b.example"]),
    "app.redis_deadline": ("4", 4.0),
    "haproxy.maxconn": ("99", 99),
    "haproxy.threads": ("3", 3),
    "haproxy.check": ("0.5", 0.5),
    "images.bundle": ("/media/stick/all.bundle", "/media/stick/all.bundle"),
    "images.stream": ("false", False),
    "images.mirror": ("registry.example/library", "registry.example/library"),
    "images.references": ("redis=r:1,nginx=n:2", {"redis": "r:1", "nginx": "n:2"}),
    "images.confd_binary": ("/opt/confd", "/opt/confd"),
    "images.confd_release": ("https://m.example/confd.tar.gz", "https://m.example/confd.tar.gz"),
    "images.confd_sha256": ("ab12", "ab12"),
    **{f"build.{name}": ("x", "x") for name in ("mirror", "apt_sources", "pip_index", "ca_bundle")},
    "ssh.accept_new_host_key": ("yes", True),
    "ssh.hosts_at_once": ("2", 2),
}


def nested(path: str, value: Any) -> dict[str, Any]:
    for name in reversed((KEY, *path.split("."))):
        value = {name: value}
    return value  # type: ignore[no-any-return]


def test_every_setting_is_tried() -> None:
    assert set(OTHER) == set(SCHEMA)


@pytest.mark.parametrize("path", OTHER)
def test_each_setting_by_flag_by_variable_and_by_file(path: str) -> None:
    text, value = OTHER[path]
    for given in ({"flags": {path: text}}, {"environment": {variable(path): text, "HOME": "/"}}, {"file": nested(path, value)}):
        assert value_of(load(EXAMPLE, **given), path) == value


def test_flags_before_environment_before_file_before_example() -> None:
    sources: dict[str, Any] = {
        "file": nested("stack", "by-file"),
        "environment": {"SILVERLINING_STACK": "by-variable"},
        "flags": {"stack": "by-flag"},
    }
    for name, value in (("flags", "by-flag"), ("environment", "by-variable"), ("file", "by-file")):
        assert load(EXAMPLE, **sources).stack == value
        del sources[name]
    assert load(EXAMPLE).stack == "silverlining"


def test_a_group_whose_settings_are_all_commented_out_is_none() -> None:
    assert load(EXAMPLE, file={KEY: {"ports": None, "counts": {"ping-app": 5}}}).counts["ping-app"] == 5


def test_a_pool_may_be_wider_than_a_subnet() -> None:
    assert load(EXAMPLE, flags={"network.pool": "10.0.0.0/8"}).network.pool == "10.0.0.0/8"


WRONG = (
    ("stack", 5),
    ("stack", "Big"),
    ("stack", ""),
    ("stack", "a" * 32),
    ("stack", None),
    ("deadline", 0),
    ("deadline", float("nan")),
    ("deadline", float("inf")),
    ("deadline", "soon"),
    ("deadline", True),
    ("ports.web", 0),
    ("ports.web", 65536),
    ("ports.web", 80.5),
    ("ports.web", True),
    ("ports.web", 8080),
    ("counts.ping-app", 0),
    ("counts.ping-app", 91),
    ("counts.redis-slave", 10),
    ("counts.sentinel", 2),
    ("counts.sentinel", 4),
    ("network.subnet", "10.0.0.1/24"),
    ("network.subnet", "10.0.0.0/25"),
    ("network.subnet", "10.0.0.0/8"),
    ("network.subnet", "fd00::/64"),
    ("network.pool", ""),
    ("network.pool", "here"),
    ("health.interval", 0),
    ("redis.down_after", -1),
    ("app.worker_class", "sync"),
    ("app.workers", -1),
    ("app.threads", 0),
    ("app.cpus", 0),
    ("app.allowed_hosts", "one"),
    ("app.allowed_hosts", [1]),
    ("haproxy.maxconn", 0),
    ("haproxy.threads", 0),
    ("haproxy.check", 0),
    ("images.references", ["redis"]),
    ("images.references", {"redis": 8}),
    ("ssh.accept_new_host_key", "maybe"),
    ("ssh.accept_new_host_key", 1),
    ("ssh.hosts_at_once", 0),
    ("ssh.hosts_at_once", True),
)


@pytest.mark.parametrize(("path", "value"), WRONG)
def test_a_wrong_value_is_refused_with_its_path(path: str, value: Any) -> None:
    with pytest.raises(SettingsError) as caught:
        load(EXAMPLE, file=nested(path, value))
    # Two ports that are equal: the error names both.
    assert path in caught.value.what


@pytest.mark.parametrize(("path", "text"), (("ports.web", "eighty"), ("deadline", "nan"), ("app.workers", "1.5"), ("images.references", "redis")))
def test_a_wrong_text_is_refused_with_where_it_stands(path: str, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(EXAMPLE, flags={path: text})
    assert f"--set {path}" in caught.value.what
    with pytest.raises(SettingsError) as caught:
        load(EXAMPLE, environment={variable(path): text})
    assert variable(path) in caught.value.what and path in caught.value.what


@pytest.mark.parametrize(
    ("given", "words"),
    (
        ({"file": nested("ports.wbe", 80)}, ("silverlining.ports.wbe", "ports.web")),
        ({"file": nested("colour", "red")}, ("silverlining.colour", "docs/silverlining.example.yaml")),
        ({"file": nested("ports", 80)}, ("silverlining.ports", "80")),
        ({"file": {KEY: "x"}}, (KEY, "x")),
        ({"file": {"stack": "x"}}, ("stack", "one key")),
        ({"file": {KEY: {}, 7: 8, "b": 1}}, ("7", "one key")),
        ({"file": {KEY: {7: 8}}}, ("silverlining.7",)),
        ({"file": "text"}, ("silverlining.yaml", "one key")),
        ({"flags": {"ports.wbe": "80"}}, ("--set ports.wbe", "ports.web")),
        ({"environment": {PREFIX + "PORT_WEB": "80"}}, (PREFIX + "PORT_WEB", PREFIX + "PORTS_WEB")),
    ),
)
def test_an_unknown_setting_is_refused_and_the_nearest_named(given: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError) as caught:
        load(EXAMPLE, **given)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("file", (None, {}, {KEY: None}, {KEY: {}}))
def test_an_empty_file_changes_nothing(file: Any) -> None:
    assert load(EXAMPLE, file=file) == load(EXAMPLE)


def test_one_and_one_point_nought_are_the_same_setting() -> None:
    assert repr(load(EXAMPLE, flags={"app.cpus": "1"})) == repr(load(EXAMPLE, flags={"app.cpus": "1.0"}))


def test_the_file_is_read_from_the_directory(tmp_path: Any) -> None:
    (tmp_path / "silverlining.yaml").write_text("silverlining:\n  stack: mine\n")
    assert read_settings({}, tmp_path, {}).stack == "mine"
    (tmp_path / "silverlining.yaml").write_text("silverlining: [\n")
    with pytest.raises(SettingsError, match=r"silverlining\.yaml"):
        read_settings({}, tmp_path, {})


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("silverlining.yaml", "silverlining:\n  stack: a\n  ports:\n    web: 1\n  stack: b\n", r"silverlining\.yaml, line 5: stack stands twice"),
        ("silverlining.yaml", "silverlining:\n  ports: {web: 1, web: 2}\n", "line 2: web stands twice"),
        ("silverlining.yml", "silverlining:\n  stack: a\n", r"(?s)silverlining\.yml is not read.*name it silverlining\.yaml"),
    ],
)
def test_what_would_be_ignored_is_refused(tmp_path: Any, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_settings({}, tmp_path, {})
    assert re.search(words, f"{caught.value} {caught.value.hint}")


def test_a_merge_key_of_yaml_is_no_key_that_stands_twice(tmp_path: Any) -> None:
    (tmp_path / "silverlining.yaml").write_text("silverlining:\n  counts: {<<: {sentinel: 5, ping-app: 4}, ping-app: 2}\n")
    assert read_settings({}, tmp_path, {}).counts == {"ping-app": 2, "redis-slave": 2, "sentinel": 5}


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"file": {KEY: {"ports": {"web": 0}}}}, "silverlining.yaml: ports.web: "),
        ({"environment": {"SILVERLINING_PORTS_WEB": "0"}}, "SILVERLINING_PORTS_WEB: ports.web: "),
        ({"flags": {"ports.web": "0"}}, "--set ports.web: "),
    ],
)
def test_a_value_out_of_range_is_told_with_its_place(given: Any, place: str) -> None:
    with pytest.raises(SettingsError, match=f"^{place}must be between 1 and 65535"):
        load(EXAMPLE, **given)


@pytest.mark.parametrize("text", ["[a.example, b.example]", "['a.example', \"b.example\"]"])
def test_a_list_may_be_written_as_in_the_file(text: str) -> None:
    assert load(EXAMPLE, flags={"app.allowed_hosts": text}).app.allowed_hosts == ["a.example", "b.example"]
