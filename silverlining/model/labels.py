"""The labels by which the tool knows what is its own; and Compose's, so that step09 takes networks and volumes over."""

from __future__ import annotations

STACK = "io.silverlining.stack"
SERVICE = "io.silverlining.service"
INDEX = "io.silverlining.index"
SPEC = "io.silverlining.spec"
MADE_BY = "io.silverlining.made-by"
HELPER = "io.silverlining.helper"
SCALED = "io.silverlining.scaled"
AUDIT = "io.silverlining.audit"
SUBNET = "io.silverlining.subnet"

COMPOSE_PROJECT = "com.docker.compose.project"
COMPOSE_NETWORK = "com.docker.compose.network"
COMPOSE_VOLUME = "com.docker.compose.volume"
COMPOSE_SERVICE = "com.docker.compose.service"
COMPOSE_NUMBER = "com.docker.compose.container-number"


def network(stack: str) -> dict[str, str]:
    """Labels of the stack's network."""
    return {STACK: stack, COMPOSE_PROJECT: stack, COMPOSE_NETWORK: "default"}


def scaled(stack: str, note: str) -> dict[str, str]:
    """Labels of the empty volume that says until the next deploy what was scaled: Docker has no smaller object that lasts."""
    return {STACK: stack, SCALED: note}


def trail(stack: str) -> dict[str, str]:
    """Labels of the volume with the trail of who changed what. Not Compose's: it is no part of its file, and none of its `down --volumes`."""
    return {STACK: stack, AUDIT: "trail"}


def volume(stack: str, key: str, subnet: str) -> dict[str, str]:
    """Labels of the volume that Compose's file calls `key`.

    Redis, Sentinel and etcd note addresses in their volumes, so that a volume remembers the subnet that they belong to.
    """
    return {STACK: stack, SUBNET: subnet, COMPOSE_PROJECT: stack, COMPOSE_VOLUME: key}
