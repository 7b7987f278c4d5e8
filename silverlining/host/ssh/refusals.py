"""Why a connection was refused, in words for people: the host key, the way there, or the user and what was tried."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paramiko import Agent, ECDSAKey, Ed25519Key, PKey, RSAKey
from paramiko.ssh_exception import BadAuthenticationType, ChannelException, NoValidConnectionsError, PasswordRequiredException, SSHException

from ...model.errors import AccessRefused, HostKeyRefused, HostUnreachable, SilverliningError
from ...model.text import _

if TYPE_CHECKING:
    from fabric import Connection

    from .connect import HostKeys
    from .known import Verdict

FLAG = "--accept-new-host-key"


def gateway_of(connection: Connection) -> Connection | None:
    """The connection that this one goes through; None for a direct one, and for one by a ProxyCommand."""
    return None if isinstance(connection.gateway, str) else connection.gateway or None


def name_of(connection: Connection) -> str:
    """The host as the user calls it, with its address where that is another one."""
    alias, host, port = connection.original_host, connection.host, connection.port
    address = f"{host}:{port}" if port != 22 else str(host)
    return str(alias) if address == alias else f"{alias} ({address})" if host != alias else address


def by_hand(connection: Connection) -> str:
    """The ssh command line that goes to the same host."""
    user = f"{connection.user}@" if connection.user != connection.ssh_config.get("user", connection.config.user) else ""
    port = f"-p {connection.port} " if connection.port != int(connection.ssh_config.get("port", 22)) else ""
    return f"ssh {port}{user}{connection.original_host}"


def _scan(policy: HostKeys) -> str:
    """A command line that shows the fingerprints of a host, from where the host is reached."""
    host, port = policy.address
    scan = f"ssh-keyscan {f'-p {port} ' if port != 22 else ''}{host}"
    return f"{by_hand(policy.gateway)} {scan} | ssh-keygen -lf -" if policy.gateway else f"{scan} | ssh-keygen -lf -"


def unknown_key(policy: HostKeys, key: PKey) -> HostKeyRefused:
    """A host that known_hosts doesn't know."""
    what = _("{host} is not known here: it shows the {type} key {fingerprint}").format(
        host=policy.who, type=key.algorithm_name, fingerprint=key.fingerprint
    )
    if policy.known.authorities(policy.name):
        what += _("; known_hosts names a certificate authority for it, which can't be asked here")
    hint = _("compare it with what the host's owner says (`{scan}` shows it, too); if it is the right one, add {flag}")
    return HostKeyRefused(what, hint.format(scan=_scan(policy), flag=FLAG))


def bad_key(policy: HostKeys, key: PKey, verdict: Verdict) -> HostKeyRefused:
    """A host that shows another key than the one that is known, or one that is revoked."""
    places = ", ".join(line.place for line in verdict.lines)
    shown = {"host": policy.who, "type": key.algorithm_name, "fingerprint": key.fingerprint, "places": places}
    if verdict.kind == "revoked":
        what = _("{host} shows the {type} key {fingerprint}, which is marked as revoked in {places}").format(**shown)
        return HostKeyRefused(what, _("don't connect: somebody else may have this key. Ask the host's owner for a new one"))
    if any(line.kind == key.get_name() for line in verdict.lines):
        what = _("the key of {host} has changed: it shows the {type} key {fingerprint}, but another one is known ({places})").format(**shown)
    else:
        kinds = ", ".join(dict.fromkeys(line.kind for line in verdict.lines))
        what = _("the key of {host} has changed: it shows the {type} key {fingerprint}, but only {kinds} is known ({places})").format(
            **shown, kinds=kinds
        )
    file = verdict.lines[0].file
    where = "" if file == Path("~/.ssh/known_hosts").expanduser() else f" -f {file}"
    # A line without the port, or with a pattern, is removed by what stands in it.
    line = verdict.lines[0]
    name = line.names[0] if len(line.names) == 1 and not line.names[0].startswith("|") else policy.name
    quoted = f"'{name}'" if set(name) & set("[]*?!") else name
    hint = _("somebody may be listening in. If the host was made anew: `ssh-keygen -R {name}{where}`, then the same command with {flag}")
    return HostKeyRefused(what, hint.format(name=quoted, where=where, flag=FLAG))


def explain(connection: Connection, error: Exception, passed: bool) -> SilverliningError | None:
    """What an error of opening a connection means; `passed`: the host key was good. None for what no user can cause."""
    host, port = name_of(connection), connection.port
    hand = by_hand(connection)
    seconds = connection.connect_timeout or connection.connect_kwargs.get("timeout")
    if (before := gateway_of(connection)) and isinstance(error, ChannelException):
        gateway = name_of(before)
        if error.code == 1:
            return HostUnreachable(
                _("the gateway {gateway} doesn't let anybody through to {host}").format(gateway=gateway, host=host),
                _("its sshd must allow it: AllowTcpForwarding yes, and no PermitOpen that forbids it"),
            )
        return HostUnreachable(
            _("the gateway {gateway} can't reach {host}").format(gateway=gateway, host=host),
            _("is it up, and its name known there? `{hand}` must work").format(hand=hand),
        )
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return HostUnreachable(
            _("{host}: no address is known by this name").format(host=host),
            _("write it as DNS, /etc/hosts or ~/.ssh/config has it; `{hand}` must work").format(hand=hand),
        )
    if not passed and isinstance(connection.gateway, str) and isinstance(error, (SSHException, OSError, EOFError)):
        return HostUnreachable(
            _("{host}: its ProxyCommand leads to no SSH server: {command}").format(host=host, command=connection.gateway),
            _("try it by hand: `{hand}` must work").format(hand=hand),
        )
    if _is_file(error):
        return AccessRefused(
            _("{file} can't be read: {why}").format(file=error.filename, why=error.strerror),  # type: ignore[attr-defined]
            _("name a private key with -i FILE, or IdentityFile in ~/.ssh/config"),
        )
    # Where the host's key doesn't come in time, paramiko goes on and finds no session.
    silent = ("timeout opening channel",) if passed else ("timeout opening channel", "no existing session")
    if isinstance(error, TimeoutError) or (isinstance(error, SSHException) and str(error).lower().startswith(silent)):
        return HostUnreachable(
            _("{host} does not answer within {seconds} s").format(host=host, seconds=seconds),
            _("is it up, is port {port} let through? `{hand}` must work; `fab -t SECONDS …` waits longer").format(port=port, hand=hand),
        )
    if isinstance(error, NoValidConnectionsError) and all(isinstance(one, ConnectionRefusedError) for one in error.errors.values()):
        return HostUnreachable(
            _("{host} refuses connections to port {port}: no SSH server listens there").format(host=host, port=port),
            _("start sshd there, or name its port: `fab -H {alias}:PORT …`").format(alias=connection.original_host),
        )
    if passed and isinstance(error, (SSHException, EOFError, ValueError)):
        return _not_let_in(connection, error)
    if isinstance(error, NoValidConnectionsError):
        first = next(iter(error.errors.values()))
        return _no_way(host, getattr(first, "strerror", None) or str(first), hand)
    if isinstance(error, OSError):
        return _no_way(host, error.strerror or str(error), hand)
    if isinstance(error, (SSHException, EOFError)):
        words = str(error) or _("the connection was closed")
        if "banner" in words:
            words = _("what answers there is no SSH server, or one that is too busy")
        return HostUnreachable(
            _("{host}: no SSH session could be begun: {words}").format(host=host, words=words), _("`{hand}` must work").format(hand=hand)
        )
    return None


def _is_file(error: Exception) -> bool:
    return isinstance(error, OSError) and error.filename is not None


def _no_way(host: str, why: str, hand: str) -> HostUnreachable:
    return HostUnreachable(
        _("{host} can't be reached: {why}").format(host=host, why=why),
        _("is it up, is there a way to it? `{hand}` must work").format(hand=hand),
    )


def _not_let_in(connection: Connection, error: Exception) -> AccessRefused:
    """The host key was good, but the user was not: what was tried, what the server takes, and what is missing."""
    tried, locked = _tried(connection)
    asked = _taken(connection, error)
    passwords = bool(connection.connect_kwargs.get("password"))
    if passwords:
        tried.append(_("the password"))
    words = {
        "host": name_of(connection),
        "user": connection.user,
        "tried": ", ".join(tried) or _("nothing, since there is neither a key nor an agent"),
        "taken": ", ".join(asked),
    }
    what = _("{host} doesn't let {user} in. Tried: {tried}").format(**words)
    if asked:
        what += _(". It takes: {taken}").format(**words)
    if locked:
        given = bool(connection.connect_kwargs.get("passphrase"))
        words["file"] = locked[0]
        what += (_(". The passphrase doesn't open {file}") if given else _(". {file} needs its passphrase")).format(**words)
        return AccessRefused(what, _("`ssh-add {file}` once, or `fab --prompt-for-passphrase …`").format(**words))
    if not passwords and {"password", "keyboard-interactive"} & set(asked):
        return AccessRefused(
            what, _("another user (`-H USER@HOST`), another key (`-i FILE`), or `fab --prompt-for-login-password …`").format(**words)
        )
    return AccessRefused(
        what,
        _("another user (`-H USER@HOST`) or another key (`-i FILE`); `{hand}` must work").format(hand=by_hand(connection)),
    )


def _tried(connection: Connection) -> tuple[list[str], list[str]]:
    """What there was to try, and the key files that could not be opened without (the right) passphrase."""
    kwargs = connection.connect_kwargs
    files = list(kwargs.get("key_filename") or [])
    if kwargs.get("look_for_keys", True):
        homes = [os.path.expanduser(f"~/.ssh/id_{kind}") for kind in ("rsa", "ecdsa", "ed25519")]
        files += [path for path in homes if os.path.isfile(path) and path not in files]
    tried, locked = [], []
    passphrase = kwargs.get("passphrase") or kwargs.get("password")
    for path in files:
        opened = _opened(path, passphrase)
        if opened:
            tried.append(_short(path))
        elif opened is None:
            locked.append(_short(path))
        else:
            tried.append(_("{file} (which is no private key)").format(file=_short(path)))
    if kwargs.get("allow_agent", True) and (keys := _agent_keys()):
        tried.append(_("{count} of the agent's keys").format(count=keys))
    return tried, locked


def _opened(path: str, passphrase: str | None) -> bool | None:
    """Whether a private key can be read; None if its passphrase is missing or wrong."""
    locked = False
    for kind in (RSAKey, ECDSAKey, Ed25519Key):
        try:
            kind.from_private_key_file(path, passphrase)
            return True
        except PasswordRequiredException:
            locked = True
        except (SSHException, OSError, ValueError, LookupError):
            if passphrase and _opened(path, None) is None:
                locked = True
    return None if locked else False


def _short(path: str) -> str:
    home = os.path.expanduser("~")
    return "~" + path[len(home) :] if path.startswith(home + "/") else path


def _agent_keys() -> int:
    agent = Agent()
    try:
        return len(agent.get_keys())
    except (SSHException, OSError):
        return 0
    finally:
        agent.close()


def _taken(connection: Connection, error: Exception) -> list[str]:
    """The ways of letting somebody in that the server names; empty if it doesn't say."""
    if isinstance(error, BadAuthenticationType):
        return list(error.allowed_types)
    transport: Any = connection.client.get_transport()
    try:
        if transport and transport.is_active():
            transport.auth_none(connection.user)
    except BadAuthenticationType as answer:
        return list(answer.allowed_types)
    except (SSHException, EOFError, OSError):
        pass
    return []
