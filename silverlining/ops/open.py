"""Where a service is to be seen from this host: its address, and a browser for it where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import steps

from ..host.host import LOOPBACK, PUBLIC
from ..host.ports import EVERYWHERE
from ..model.entry import Entry, address_of, entry_of
from ..model.errors import SilverliningError
from ..model.observed import SeenContainer
from ..model.stack import VIP, Stack
from ..model.stack import address_of as host_number
from ..model.text import _
from .desk import Desk
from .standing import chosen

# What a person may say: the service, the setting of its port, and the page.
STATISTICS = ("haproxy", "stats", "/stats")
PAGES: dict[str, tuple[str, str, str]] = {
    **dict.fromkeys(("statistics", "stats", "haproxy-statistics", "haproxy-stats"), STATISTICS),
    "haproxy": ("haproxy", "web", "/"),
    "nginx": ("nginx", "web", "/"),
    "django": ("django", "app", "/"),
    "etcd": ("etcd", "etcd", "/version"),
    "netdata": ("netdata", "netdata", "/"),
}
# The application is reached by what stands in front of it; the setting of its port, "" for the virtual address.
ENTRIES = ("app", "web", "site", "entry")
IN_FRONT = {"haproxy": "web", "lvs": "", "ping-app": "app", "django": "app", "nginx": "web"}
TEXT_BROWSERS = ("lynx", "w3m", "links", "links2", "elinks", "www-browser", "browsh")


def way_in(desk: Desk, stack: Stack) -> str:
    """What to open to see the stack serve, from where the person is; "" if nothing serves."""
    entry = entry_of(stack)
    if entry is None:
        return ""
    host = desk.host
    url = address_of(entry, "/", host.name if host.direct else "localhost")
    services = [c.service for c in stack.containers if any(outside == entry[1] for _address, outside, _inside in c.ports)]
    if services and (not host.direct or (host.remote and entry[0] == LOOPBACK)):
        return _("open {url} on {host}; from here: invoke open {service}").format(url=url, host=host.name, service=services[0])
    return _("open {url}").format(url=url)


def open_service(desk: Desk, name: str) -> dict[str, Any]:
    """Prints the address of what `name` stands for and shows it in a browser where there is one. Raises SilverliningError."""
    name = name.strip().lower()
    where, port, path = address(desk, name, {c.service: c for c in reversed(chosen(desk))})
    url = address_of((where, port, path), path, desk.host.name)
    if not desk.host.remote or (where == PUBLIC and desk.host.direct):
        return {"service": name, "url": url, "browser": _show(desk, url)}
    if where not in (LOOPBACK, PUBLIC):
        raise SilverliningError(_("{url} is an address inside the docker host").format(url=url), _("there: `curl {url}`").format(url=url))
    if desk.json:
        raise SilverliningError(_("{url} is reached by the connection, which must stay open").format(url=url), _("leave --json out"))
    with desk.host.forward(port) as here:
        url = address_of((where, here, path), path)
        # From the moment when the address is told.
        with suppress(KeyboardInterrupt):
            _show(desk, url)
            desk.voice.note(_("carried to {host} as long as this runs; Ctrl-C ends it").format(host=desk.host.name))
            desk.host.await_end()
    return {"service": name, "url": url, "browser": False}


def _show(desk: Desk, url: str) -> bool:
    desk.voice.write(url)
    shown = desk.voice.terminal and not desk.json and browser_there(os.environ) and browse(url)
    if shown:
        desk.voice.note(_("your browser opens it"))
    return shown


def address(desk: Desk, name: str, there: Mapping[str, SeenContainer]) -> Entry:
    """Where what `name` stands for, with the port that is published now. Raises SilverliningError."""
    service, setting, path = PAGES.get(name, (name, None, "/"))
    if name in ENTRIES or (name in ("ping-app", "lvs") and name in there):
        service = next((one for one in IN_FRONT if one in there), name)
        setting = IN_FRONT.get(service)
    container = there.get(service) or chosen(desk, (service,))[0]
    if setting is None:
        raise SilverliningError(
            _("{service} is not published: only the private network of the stack reaches it").format(service=service),
            _("invoke shell {service} looks at it from inside").format(service=service),
        )
    if not container.running:
        raise SilverliningError(_("{name} does not run: {state}").format(name=container.name, state=container.state), _("invoke deploy-all mends it"))
    if not setting:
        return host_number(container.address.rsplit(".", 1)[0] + ".0/24", VIP), 8000, path
    return _published(desk, container, setting, path)


def _published(desk: Desk, container: SeenContainer, setting: str, path: str) -> Entry:
    """The address and port as they are published now: the setting may have changed since."""
    services = [s for name in steps.NAMES for s in steps.load(name).TOPOLOGY.services if s.name == container.service]
    inside = {port.container for service in services for port in service.ports if port.setting == setting}
    bindings = desk.host.client.inspect_container(container.id)["NetworkSettings"]["Ports"] or {}
    for binding in (one for port in inside for one in bindings.get(f"{port}/tcp") or ()):
        return "" if binding["HostIp"] in EVERYWHERE else binding["HostIp"], int(binding["HostPort"]), path
    raise SilverliningError(_("{name} publishes no port for this").format(name=container.name), _("invoke status shows what stands"))


def browser_there(environ: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Whether there is a browser with windows: where there is a display, or where the person has named one. A text browser is none."""
    import webbrowser

    if not (environ.get("BROWSER") or environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY") or platform in ("darwin", "win32")):
        return False
    try:
        found = webbrowser.get()
    except webbrowser.Error:
        return False
    return os.path.basename(str(getattr(found, "name", ""))) not in TEXT_BROWSERS


def browse(url: str) -> bool:
    """Lets Python's webbrowser open the address in a process of its own, which neither blocks nor writes to this terminal."""
    command = [sys.executable, "-m", "webbrowser", "-t", url]
    try:
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    except OSError:
        return False
    return True
