"""The part of the plan that keeps requests: app servers are registered where HAProxy finds them, and leave it before they stop."""

from __future__ import annotations

import re

from .actions import Action, DeleteKey, Drain, PutKey, Readmit, Replace
from .draft import Draft
from .observed import Observed, SeenContainer
from .stack import LESSON_KEY, Stack, server_key

APP_KEY = re.compile(rf"/app/servers/app(\d+)$|{LESSON_KEY}$")


def plan_apps(draft: Draft, stack: Stack, seen: Observed) -> None:
    """Adds to the draft what the app servers need beyond running."""
    if stack.topology.registry == "etcd":
        _register(draft, stack, seen)
    _roll(draft, stack, seen)
    _readmit(draft, stack, seen)


def _register(draft: Draft, stack: Stack, seen: Observed) -> None:
    """Puts and deletes the keys in etcd that tell where the app servers are."""
    wanted, present = stack.servers(), seen.keys or {}
    etcd, haproxy = stack.of("etcd")[0], stack.of("haproxy")[0]
    for app in stack.of("ping-app"):
        key = server_key(app.index)
        if present.get(key) != wanted[key]:
            put = draft.add(PutKey(etcd.name, key, wanted[key]))
            draft.need(put, draft.change_of(etcd.name), draft.change_of(app.name))
    for key in sorted(present):
        if (match := APP_KEY.match(key)) and key not in wanted:
            gone = draft.add(DeleteKey(etcd.name, haproxy.name, key))
            draft.need(gone, draft.change_of(etcd.name), draft.change_of(haproxy.name), *draft.changes_of("ping-app"))
            if removal := draft.removal_of(f"{stack.name}-ping-app-{match[1]}"):
                draft.need(removal, gone)


def _serving(stack: Stack, seen: Observed) -> SeenContainer | None:
    """The HAProxy that runs now."""
    return next((old for c in stack.of("haproxy") if (old := seen.container(c.name)) and old.running), None)


def _roll(draft: Draft, stack: Stack, seen: Observed) -> None:
    """A server leaves HAProxy before it is replaced, and comes back when it is healthy."""
    haproxy = _serving(stack, seen)
    if not haproxy or len(stack.of("ping-app")) < 2:
        return
    change = draft.change_of(haproxy.name)
    by_key = stack.topology.registry == "etcd"
    # The HAProxy that serves now is asked, also if it is itself replaced after the apps; but only in the way that it understands.
    if change and not (isinstance(change, Replace) and by_key == (seen.keys is not None)):
        return
    for app in draft.changes_of("ping-app"):
        if not isinstance(app, Replace):
            continue
        index = app.container.index
        if by_key:
            etcd, key = stack.of("etcd")[0].name, server_key(index)
            out: Action = DeleteKey(etcd, haproxy.name, key)
            back: Action = PutKey(etcd, key, stack.servers()[key])
            registry = draft.change_of(etcd)
        else:
            out, back = Drain(haproxy.name, f"app{index}"), Readmit(haproxy.name, f"app{index}")
            registry = None
        for action in (out, back):
            draft.actions.setdefault(action.id, action)
        draft.need(out, registry)
        draft.need(app, out)
        draft.need(back, app, registry)
        if change:
            draft.need(change, back)


def _readmit(draft: Draft, stack: Stack, seen: Observed) -> None:
    """A server that was drained comes back: by hand, or by a run that was cut off before it could do that."""
    haproxy = _serving(stack, seen)
    if not haproxy or isinstance(draft.change_of(haproxy.name), Replace):
        return  # A new one knows nothing of it.
    for app in stack.of("ping-app"):
        if (server := f"app{app.index}") in seen.withheld:
            back = Readmit(haproxy.name, server)
            draft.actions.setdefault(back.id, back)
            draft.need(back, draft.change_of(app.name), draft.change_of(haproxy.name), draft.actions.get(f"PutKey:{server_key(app.index)}"))
