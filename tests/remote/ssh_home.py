"""A person's ~/.ssh for the tests: a key, the hosts' names in ssh_config, and their keys in known_hosts."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat


class SshHome:
    """A home directory below `folder`. Fabric and paramiko find it by HOME; OpenSSH's own ssh wants `-F` and the path of `config`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.folder = folder / ".ssh"
        self.folder.mkdir(mode=0o700, parents=True)
        self.config, self.known_hosts = self.folder / "config", self.folder / "known_hosts"
        self.key, self.public_key = make_key(self.folder / "id_ed25519")
        self._hosts: dict[str, dict[str, str]] = {}
        self._keys: dict[str, list[str]] = {}

    def add(self, alias: str, address: str, host_keys: list[str], user: str = "root", proxy_jump: str = "", **more: str) -> None:
        """Makes `alias` a name of the host; adding it again replaces what was said of it. `more` are further words of ssh_config."""
        words = {"HostName": address, "User": user, "ProxyJump": proxy_jump, **more}
        self._hosts[alias] = {word: value for word, value in words.items() if value}
        self.known_as(alias, host_keys)

    def forget(self, alias: str) -> None:
        """The host is gone."""
        self._hosts.pop(alias, None)
        self._keys.pop(alias, None)
        self._write()

    def known_as(self, alias: str, host_keys: list[str]) -> None:
        """Writes other keys (or none) into known_hosts for the host than it has."""
        name, port = self._hosts[alias]["HostName"], self._hosts[alias].get("Port")
        self._keys[alias] = [f"{f'[{name}]:{port}' if port else name} {key}" for key in host_keys]
        self._write()

    def _write(self) -> None:
        blocks = []
        for alias, words in self._hosts.items():
            # What was said of the host comes first, as an IdentityFile of its own.
            files = {"IdentityFile": self.key, "UserKnownHostsFile": self.known_hosts, "IdentitiesOnly": "yes"}
            blocks.append("\n  ".join((f"Host {alias}", *(f"{word} {value}" for word, value in (files | words).items()))))
        self.config.write_text("\n".join(blocks) + "\n")
        self.known_hosts.write_text("".join(f"{line}\n" for lines in self._keys.values() for line in lines))


def make_key(path: Path) -> tuple[Path, str]:
    """Writes a new private key to `path`; gives that and the public key's line."""
    made = Ed25519PrivateKey.generate()
    path.touch(0o600)
    path.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    return path, made.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
