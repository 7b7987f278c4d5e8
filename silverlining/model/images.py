"""The catalogue of images: what each is built from, which official image it stands in for, and in which order they are made. Pure data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

REPOSITORY = "silverlining"
IMAGE_LABEL = "io.silverlining.image"
FINGERPRINT_LABEL = "io.silverlining.fingerprint"
SOURCE_LABEL = "io.silverlining.source"
# The stack for which an image was built; others may use it as well.
BUILT_FOR_LABEL = "io.silverlining.built-for"
# Where a built image came from, when it is not one of the variants below.
BUILT = "packages"

# What a Debian base holds. It is part of the base's fingerprint, so a change here renews everything.
BASE_VARIANT = "minbase"
BASE_PACKAGES = ("ca-certificates",)
BASE_EXCLUDES = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")
BASE_INCLUDES = ("/usr/share/doc/*/copyright",)
# A build that is cut off is thrown away as a whole: dpkg need not wait for the disk.
BASE_OPTIONS = ("force-unsafe-io",)


@dataclass(frozen=True)
class Variant:
    """One of several ways to build an image, tried in turn.

    `needs` names a file of the context without which it can't be tried; `asks` are build arguments with the setting under `images`
    that gives their value.
    """

    source: str
    dockerfile: str
    args: tuple[tuple[str, str], ...] = ()
    needs: str = ""
    asks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Image:
    """One image. A base has a `suite` instead of a `context`.

    `bases` are (build argument, image name), `files` (source in the repository, path in the context); a source that ends in .j2 is rendered.
    `official` is the pinned reference of the image that ours stands in for, without a registry's host name.
    `python` says that its build asks the index of Python packages. `seconds` is about how long its build takes where nothing else is built.
    """

    name: str
    context: str = ""
    bases: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    official: str = ""
    suite: str = ""
    python: bool = False
    seconds: int = 10
    variants: tuple[Variant, ...] = (Variant(BUILT, "Dockerfile"),)

    @property
    def parents(self) -> tuple[str, ...]:
        """The images that must be there before this one can be built."""
        return tuple(name for _, name in self.bases)

    @property
    def debian(self) -> bool:
        """Whether its build asks a mirror of Debian packages."""
        return bool(self.suite) or APT in self.files

    @property
    def repository(self) -> str:
        """The repository part of the tag of what we build."""
        return f"{REPOSITORY}/{self.name.replace('/', '-')}"


APT = ("builds/lib/apt-delta", "apt-delta")
SUPERVISORD = ("builds/lib/supervisord", "supervisord")


def _stand_in(name: str, official: str, base: str = "debian") -> Image:
    return Image(f"upstream/{name}", f"builds/upstream/{name}", (("BASE", base),), (APT,), official)


_ALL = (
    Image("debian", official="debian:trixie-slim", suite="trixie"),
    Image("debian-bookworm", official="debian:bookworm-slim", suite="bookworm"),
    _stand_in("nginx", "nginx:1.26"),
    _stand_in("redis", "redis:8.0"),
    _stand_in("haproxy", "haproxy:3.0"),
    _stand_in("etcd", "rancher/mirrored-coreos-etcd:v3.5.16"),
    _stand_in("python", "python:3.11-slim-bookworm", "debian-bookworm"),
    _stand_in("netdata", "netdata/netdata:v1.37.1", "debian-bookworm"),
    Image("redis", "builds/redis", (("BASE", "upstream/redis"),), (("conf/redis.conf.j2", "redis.conf"),)),
    Image(
        "sentinel",
        "builds/sentinel",
        (("BASE", "upstream/redis"),),
        # The scripts that both have, but not Redis' configuration: an edit of that must not replace the Sentinels.
        (("conf/sentinel.conf.j2", "sentinel.conf"), *((f"builds/redis/{name}", name) for name in ("redis-ask", "redis-common.sh", "redis-health"))),
    ),
    Image("etcd", "builds/etcd", (("BASE", "debian"), ("ETCD", "upstream/etcd"))),
    Image("django", "builds/django", (("BASE", "upstream/python"),), (APT, ("app/requirements.txt", "requirements.txt")), python=True, seconds=50),
    Image(
        "app",
        "builds/app",
        (("BASE", "django"),),
        (("app", "app"), SUPERVISORD, ("conf/gunicorn.conf.py.j2", "gunicorn.conf.py"), ("conf/supervisord.conf.j2", "supervisord.conf")),
    ),
    Image(
        "confd",
        "builds/confd",
        (("BASE", "debian"),),
        (APT,),
        seconds=60,
        variants=(
            Variant("binary", "Dockerfile.binary", needs="confd"),
            Variant("release", "Dockerfile.release", asks=(("CONFD_URL", "confd_release"), ("CONFD_SHA256", "confd_sha256"))),
            Variant("module", "Dockerfile.module"),
            Variant("agent", "Dockerfile.agent"),
        ),
    ),
    Image("haproxy", "builds/haproxy", (("BASE", "upstream/haproxy"),), (("conf/haproxy.cfg.j2", "haproxy.cfg"),)),
    Image(
        "haproxy-confd",
        "builds/haproxy-confd",
        (("BASE", "upstream/haproxy"), ("CONFD", "confd")),
        # The scripts of the one above, but not its fixed list of servers: another number of those must not replace this one.
        (
            APT,
            SUPERVISORD,
            *((f"builds/haproxy/{name}", name) for name in ("haproxyctl", "haproxy-drain", "haproxy-health", "haproxy-ready", "haproxy-run")),
            ("conf/haproxy.tmpl.j2", "haproxy.tmpl"),
            ("conf/confd.toml.j2", "haproxy.toml"),
            ("conf/haproxy-supervisord.conf.j2", "supervisord.conf"),
        ),
    ),
    Image("netdata", "builds/netdata", (("BASE", "upstream/netdata"),), (("conf/netdata.conf.j2", "netdata.conf"),)),
    Image(
        "tools",
        "builds/tools",
        (("BASE", "debian"),),
        (APT, ("builds/lib/host-net.sh", "host-net.sh"), ("builds/lib/netns-client.sh", "netns-client.sh")),
    ),
    Image("lvs", "builds/lvs", (("BASE", "tools"),)),
    Image("wrk", "builds/wrk", (("BASE", "debian"),), (APT,)),
    Image(
        "compose", "builds/compose", (("BASE", "debian"),), (APT,), variants=(Variant(BUILT, "Dockerfile"), Variant("module", "Dockerfile.module"))
    ),
)
IMAGES: Mapping[str, Image] = {image.name: image for image in _ALL}


def closure(names: Iterable[str], served: Callable[[str], bool] | Collection[str] = (), catalogue: Mapping[str, Image] = IMAGES) -> tuple[str, ...]:
    """`names` and all that they are built on, parents first. What is `served` (present, or had from a registry) needs no parents."""
    is_served = served if callable(served) else served.__contains__
    order: dict[str, None] = {}

    def visit(name: str) -> None:
        if name in order:
            return
        if not is_served(name):
            for parent in catalogue[name].parents:
                visit(parent)
        order[name] = None

    for name in names:
        visit(name)
    return tuple(order)


def urgency(names: Collection[str], catalogue: Mapping[str, Image] = IMAGES) -> dict[str, int]:
    """Seconds from the beginning of each of `names` until all of them that are built on it are done: the most urgent is to begin first."""
    seconds: dict[str, int] = {}
    for name in reversed(closure(names, catalogue=catalogue)):
        above = (seconds[other] for other in names if name in catalogue[other].parents)
        seconds[name] = catalogue[name].seconds + max(above, default=0)
    return seconds


def mirrored(prefix: str, reference: str) -> tuple[str, ...]:
    """What `reference` may be called behind a registry or mirror `prefix`: mirrors of Docker Hub keep its `library/`, others don't."""
    if not prefix:
        return ()
    prefix = prefix.rstrip("/")
    plain = f"{prefix}/{reference}"
    return (plain,) if "/" in reference else (plain, f"{prefix}/library/{reference}")


def split_reference(reference: str) -> tuple[str, str]:
    """(repository, tag or digest) of a reference; the tag is `latest` where none is named."""
    if "@" in reference:
        repository, digest = reference.split("@", 1)
        return repository, digest
    head, colon, tag = reference.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (reference, "latest")


def registry_of(reference: str) -> str:
    """The registry that a reference names, "" for the engine's default one."""
    first, slash, _ = reference.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else ""
