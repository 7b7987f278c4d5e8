"""Who listens where, as `ss` tells it, or on a small host the kernel."""

from __future__ import annotations

import os
import socket
import subprocess

import pytest

from silverlining.host.ports import LISTENING, NAMELESS, holder, parse_listeners

SS = """LISTEN 0      511          0.0.0.0:80        0.0.0.0:*    users:(("nginx",pid=7,fd=6),("nginx",pid=8,fd=6))
LISTEN 0      4096   127.0.0.53%lo:53        0.0.0.0:*
ESTAB  0      0          127.0.0.1:9000    127.0.0.1:5
LISTEN 0      128             [::]:22           [::]:*    users:(("sshd",pid=3,fd=4))
"""
KERNEL = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:2328 0100007F:0005 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1
   2: 0000000000000000FFFF00000100007F:0052 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1
   1: 00000000000000000000000001000000:0051 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1
"""


def test_what_ss_says() -> None:
    assert parse_listeners(SS) == [("0.0.0.0", 80, "nginx (pid 7)"), ("127.0.0.53", 53, ""), ("[::]", 22, "sshd (pid 3)")]


def test_what_the_kernel_says() -> None:
    assert parse_listeners(KERNEL) == [("127.0.0.1", 8080, ""), ("::", 80, ""), ("127.0.0.1", 82, ""), ("::1", 81, "")]


@pytest.mark.parametrize(
    ("address", "port", "who"),
    [("", 80, "nginx (pid 7)"), ("127.0.0.1", 80, "nginx (pid 7)"), ("127.0.0.1", 53, ""), ("", 53, NAMELESS), ("127.0.0.1", 22, "sshd (pid 3)")],
)
def test_who_is_in_the_way(address: str, port: int, who: str) -> None:
    assert holder(parse_listeners(SS), address, port) == who


def test_a_host_without_ss() -> None:
    """The command itself."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        text = subprocess.run(
            ["/bin/sh", "-c", LISTENING.replace("ss ", "no-ss ")], capture_output=True, text=True, check=False, env=os.environ
        ).stdout
        assert ("127.0.0.1", server.getsockname()[1], "") in parse_listeners(text)
