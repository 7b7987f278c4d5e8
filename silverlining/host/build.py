"""One build by the engine's classic build API: sends the context, follows the log, and says what failed."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from ..model.errors import SilverliningError
from ..model.images import BUILT_FOR_LABEL, FINGERPRINT_LABEL, IMAGE_LABEL, SOURCE_LABEL, Image, Variant
from ..model.text import _
from .contexts import Context, File, pack

if TYPE_CHECKING:
    from docker import APIClient

STAGE_LABEL = "io.silverlining.stage"
LOG_LINES = 20
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_STEP = re.compile(r"Step \d+/\d+ : ")
_LAYER = re.compile(r" ---> ([0-9a-f]{12})")
_FROM = re.compile(r"^FROM\s.*$\n?", re.IGNORECASE | re.MULTILINE)


class BuildFailed(SilverliningError):
    """An image could not be built. `step` is the failing line of the Dockerfile, `log` the last lines of the build."""

    def __init__(self, image: str, step: str, error: str, log: Iterable[str] = (), hint: str = "") -> None:
        self.image, self.step, self.error, self.log = image, step, error, tuple(log)
        what = _("image {name} can't be built: {error}").format(name=image, error=error)
        if step:
            what += "\n  " + _("failing step: {step}").format(step=step)
        super().__init__("\n".join((what, *(f"  | {line}" for line in self.log))), hint or _hint(" ".join((error, *self.log))))


def _hint(text: str) -> str:
    if "no space left on device" in text.lower():
        return _("the docker host's disk is full: `docker system df` shows what takes the room")
    if "Unable to locate package" in text:
        return _("a base that was made with build.mirror has no package sources of its own: keep build.mirror or build.apt_sources set")
    if re.search(r"certificate|x509|SSL", text):
        return _("a proxy that inspects TLS needs its CA bundle in the setting build.ca_bundle")
    if re.search(r"Temporary failure resolving|Could not connect|Unable to fetch|no such host|Network is unreachable", text, re.IGNORECASE):
        return _("builds reach the package mirrors by build.mirror, build.apt_sources, build.pip_index and the proxy variables")
    return ""


def labels(image: Image, context: Context, source: str, stack: str) -> dict[str, str]:
    """The labels by which an image of ours is known again, built for `stack`."""
    return {IMAGE_LABEL: image.name, FINGERPRINT_LABEL: context.fingerprint, SOURCE_LABEL: source, BUILT_FOR_LABEL: stack}


def build(
    api: APIClient,
    image: Image,
    variant: Variant,
    context: Context,
    marks: Mapping[str, str],
    host: Mapping[str, File],
    arguments: Mapping[str, str],
    step: Callable[[str], None],
) -> None:
    """Builds one variant of `image` with the labels `marks` and tags it. Raises BuildFailed."""
    from docker.errors import DockerException
    from requests import RequestException

    if variant.dockerfile not in context.files:
        raise BuildFailed(image.name, "", _("{path} is missing").format(path=f"{image.context}/{variant.dockerfile}"))
    dockerfile = context.files[variant.dockerfile]
    if not _FROM.search(dockerfile.data.decode()):
        raise BuildFailed(image.name, "", _("{path} has no FROM").format(path=f"{image.context}/{variant.dockerfile}"))
    marked = stamp(dockerfile.data.decode(), image.name, marks)
    log: deque[str] = deque(maxlen=LOG_LINES)
    layers: set[str] = set()
    current = ""
    try:
        for event in api.build(
            fileobj=pack({**context.files, **host, variant.dockerfile: File(dockerfile.mode, marked.encode())}),
            custom_context=True,
            dockerfile=variant.dockerfile,
            tag=f"{image.repository}:{context.fingerprint}",
            buildargs=dict(arguments),
            rm=True,
            forcerm=True,
            pull=False,
            decode=True,
        ):
            if event.get("error"):
                raise BuildFailed(image.name, current, str(event["error"]).strip(), log)
            for line in _COLOUR.sub("", str(event.get("stream", ""))).splitlines():
                if found := _LAYER.match(line):
                    layers.add(found[1])
                elif line.strip():
                    log.append(line.rstrip())
                    current = line.strip() if _STEP.match(line) else current
                    step(line.strip())
    except (DockerException, RequestException, OSError) as error:
        raise BuildFailed(image.name, current, str(getattr(error, "explanation", None) or error), log) from None
    drop_stages(api, image.name, layers)


def stamp(dockerfile: str, name: str, marks: Mapping[str, str]) -> str:
    """`dockerfile` with our labels: `marks` at its end, and one in each builder stage, of which the classic builder leaves nameless images.

    The build API would make a step of its own of every label.
    """
    *stages, last = _FROM.finditer(dockerfile)
    head, tail = dockerfile[: last.start()], dockerfile[last.start() :].rstrip("\n")
    if stages:
        head = _FROM.sub(lambda found: f"{found[0]}LABEL {STAGE_LABEL}={name}\n", head)
        # Emptied at the end, or whatever somebody commits from a container of the image would look like a builder stage.
        marks = {**marks, STAGE_LABEL: ""}
    return f"{head}{tail}\nLABEL {' '.join(f'{key}={value}' for key, value in marks.items())}\n"


def drop_stages(api: APIClient, name: str, used: Collection[str] = ()) -> None:
    """Removes the builder stages of earlier builds of an image; the layers `used` by the last one stay as the cache of the next."""
    from docker.errors import APIError

    for entry in api.images(filters={"dangling": True, "label": f"{STAGE_LABEL}={name}"}):
        if entry["Id"].removeprefix("sha256:")[:12] not in used:
            try:
                api.remove_image(entry["Id"])
            except APIError:
                # Somebody's container or a running build still needs it: the next build's turn.
                continue
