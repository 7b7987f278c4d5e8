"""Opens Fabric's connection by our rules: host keys are judged by known_hosts, gateways' too, and each failure says what to do next.

Fabric accepts every key and never reads known_hosts (fabric #2071). What else it does otherwise than ssh(1) is put right here, in `prepare`.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from paramiko import MissingHostKeyPolicy, PKey, SSHClient, Transport

from ...model.errors import SilverliningError
from ...model.settings import Settings
from ...model.text import _
from . import refusals
from .known import KnownHosts, files
from .refusals import gateway_of, name_of

if TYPE_CHECKING:
    from fabric import Connection

CONNECT_TIMEOUT = 10  # seconds; `fab -t` and ConnectTimeout in ssh_config say otherwise
# Without a handler Python prints paramiko's tracebacks of what is told here in words; `fab --debug` still shows them.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
USER_FILES = "~/.ssh/known_hosts ~/.ssh/known_hosts2"
SYSTEM_FILES = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"


class HostKeys(MissingHostKeyPolicy):
    """Judges every key that a host shows. `passed` says that one was good, `notes` what a person should know of it."""

    def __init__(self, connection: Connection, accept_new: bool) -> None:
        options = connection.ssh_config
        self.who = name_of(connection)
        self.options = options
        self.accept_new = accept_new
        self.gateway = gateway_of(connection)
        self.address = (str(connection.host), int(connection.port))
        # An alias stands for the host, whatever its port: ssh_config(5), HostKeyAlias.
        host = options.get("hostkeyalias") or str(connection.host).lower()
        self.name = host if options.get("hostkeyalias") or connection.port == 22 else f"[{host}]:{connection.port}"
        self.bare = host
        tokens = {
            "%": "%",
            "d": os.path.expanduser("~"),
            "h": str(connection.host),
            "k": host,
            "n": str(connection.original_host),
            "p": str(connection.port),
            "r": str(connection.user),
            "u": str(connection.config.user),
        }
        self.known = KnownHosts(
            files(options.get("userknownhostsfile", USER_FILES), tokens), files(options.get("globalknownhostsfile", SYSTEM_FILES), tokens)
        )
        self.passed = False
        self.notes: list[str] = []

    def algorithms(self, offered: tuple[str, ...]) -> tuple[str, ...]:
        """The algorithms in the order to ask for: first those of the types that are known of the host, as ssh does."""
        kinds = self.known.kinds(self.name) or self.known.kinds(self.bare)
        wanted = [algorithm for kind in kinds for algorithm in (("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,))]
        first = [algorithm for algorithm in dict.fromkeys(wanted) if algorithm in offered]
        return (*first, *(algorithm for algorithm in offered if algorithm not in first))

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:
        """Called by paramiko for every key, since it is told of none. Raises HostKeyRefused; returns for a good key."""
        kind, blob = key.get_name(), key.asbytes()
        verdict = self.known.judge(self.name, kind, blob)
        if verdict.kind == "new" and self.bare != self.name and self.known.judge(self.bare, kind, blob).kind == "known":
            verdict = self.known.judge(self.bare, kind, blob)  # as ssh does: a key that is known without the port is good
        if verdict.kind == "new" and self.accept_new:
            file = self.known.add(self.name, kind, blob, self.options.get("hashknownhosts", "no").lower() == "yes")
            words = _("{who}: its {type} key {fingerprint} was new and is now in {file}")
            self.notes.append(words.format(who=self.who, type=key.algorithm_name, fingerprint=key.fingerprint, file=file))
        elif verdict.kind == "new":
            raise refusals.unknown_key(self, key)
        elif verdict.kind != "known":
            raise refusals.bad_key(self, key, verdict)
        self.passed = True


class Client(SSHClient):
    """paramiko's client with our policy: what is asked of the host's key, and who judges it."""

    def __init__(self, policy: HostKeys) -> None:
        super().__init__()
        self.policy = policy
        self.set_missing_host_key_policy(policy)

    def connect(self, hostname: str, *args: Any, **kwargs: Any) -> None:
        """As paramiko's."""
        self.policy.passed = False
        super().connect(hostname, *args, **{**kwargs, "transport_factory": self._made_transport})

    def _made_transport(self, sock: Any, **kwargs: Any) -> Transport:
        transport = Transport(sock, **kwargs)
        options = transport.get_security_options()
        options.key_types = self.policy.algorithms(tuple(options.key_types))
        return transport


def prepare(connection: Connection, settings: Settings) -> None:
    """Gives a connection that is not open yet, and the gateways before it, our rules. Twice does no harm.

    Corrects what Fabric does otherwise than ssh(1): the order of several jumps (Fabric begins with the last), `ProxyJump none`,
    an IdentityFile that isn't there (an error to Fabric), IdentitiesOnly, and `-t` beside a ConnectTimeout (an error to Fabric).
    StrictHostKeyChecking is not read: only our setting accepts new keys, and nothing accepts a changed one.
    """
    if isinstance(connection.client, Client):
        return
    _order_jumps(connection)
    options = connection.ssh_config
    kwargs = dict(connection.connect_kwargs)
    if "timeout" in kwargs:
        connection.connect_timeout = None
    elif connection.connect_timeout is None:
        connection.connect_timeout = CONNECT_TIMEOUT
    timeout = kwargs.get("timeout") or connection.connect_timeout
    kwargs.setdefault("banner_timeout", timeout + 5)  # the handshake as a whole has the time that was said
    missing = {path for path in options.get("identityfile", []) if not os.path.exists(os.path.expanduser(path))}
    named = {str(path) for path in connection.config.authentication.identities}
    given = kwargs.get("key_filename") or []
    keys = [given] if isinstance(given, str) else list(given)
    kwargs["key_filename"] = list(dict.fromkeys(os.path.expanduser(path) for path in keys if path in named or path not in missing))
    if shared := connection.config.connect_kwargs.get("key_filename"):
        # Fabric has noted this host's files in the configuration of all: they would be tried on every later host and gateway.
        connection.config.connect_kwargs["key_filename"] = [path for path in shared if path in named or path not in options.get("identityfile", [])]
    if options.get("identitiesonly", "no").lower() == "yes":
        kwargs.setdefault("look_for_keys", False)
    connection.connect_kwargs = kwargs
    connection.client = Client(HostKeys(connection, settings.ssh.accept_new_host_key))
    if gateway := gateway_of(connection):
        prepare(gateway, settings)


def _order_jumps(connection: Connection) -> None:
    jumps = connection.ssh_config.get("proxyjump", "")
    gateway = gateway_of(connection)
    if gateway and jumps.lower() == "none" and gateway.original_host == jumps:
        connection.gateway = None
    if not gateway or "," not in jumps:
        return
    chain = [gateway]
    for _hop in jumps.split(",")[1:]:
        if not (gateway := gateway_of(chain[-1])):
            return
        chain.append(gateway)
    # Fabric has made a → b → host of a,b the other way round: the last one made is the one that the host is reached through.
    chain[0].gateway = chain[0].get_gateway()
    for before, after in zip(chain, [*chain[1:], connection], strict=True):
        after.gateway = before


def way(connection: Connection) -> list[Connection]:
    """The connections that must be open, in order: the gateways, then the host."""
    gateway = gateway_of(connection)
    return [*(way(gateway) if gateway else []), connection]


def open_connection(connection: Connection, settings: Settings) -> list[str]:
    """Opens a connection by way of its gateways. Gives what a person should be told: the keys that were new and are accepted.

    Raises HostKeyRefused, AccessRefused or HostUnreachable, which name the gateway where it is to blame.
    """
    prepare(connection, settings)
    notes: list[str] = []
    for one in way(connection):
        if one.is_connected:
            continue
        try:
            one.open()
        except Exception as error:
            explained = error if isinstance(error, SilverliningError) else refusals.explain(one, error, one.client.policy.passed)
            for opened in way(connection):
                opened.client.close()
            if explained is None:
                raise
            if one is not connection:
                what = _("at the gateway to {host}: {what}").format(host=name_of(connection), what=explained.what)
                raise type(explained)(what, explained.hint) from None
            raise explained from None
        notes += one.client.policy.notes
        one.client.policy.notes.clear()
        if one is not connection:
            # How long sshd there may try to reach the next host: Fabric asks for no limit, which is an hour to paramiko.
            one.transport.channel_timeout = one.connect_timeout or one.connect_kwargs["timeout"]
    return notes
