"""Build contexts: collects an image's files, renders its templates, hashes the result and packs it for the engine."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shlex
import tarfile
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..model.errors import SilverliningError
from ..model.images import BASE_EXCLUDES, BASE_INCLUDES, BASE_OPTIONS, BASE_PACKAGES, BASE_VARIANT, IMAGES, Image, Variant
from ..model.text import _

if TYPE_CHECKING:
    from jinja2 import Environment

    from ..model.settings import BuildSettings, ImageSettings

# Not part of what runs: an edit of a test must not replace containers.
SKIPPED_DIRECTORIES = {"__pycache__", ".git", ".mypy_cache", ".ruff_cache", ".pytest_cache", "tests"}
SKIPPED_FILES = re.compile(r".*\.pyc|tests?\.py|test_.*\.py|.*_test\.go|.*\.sw[op]|.*~|\.DS_Store|\.coverage")
GO_VARIABLES = ("GOPROXY", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOSUMDB", "GOINSECURE")
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


class ContextError(SilverliningError):
    """A build context can't be put together: a file is missing, or a template can't be rendered."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what, hint or _("mend that, then run the same command again; in a checkout of git, `git status` shows what was edited"))


@dataclass(frozen=True)
class File:
    """One file of a context."""

    mode: int
    data: bytes


@dataclass(frozen=True)
class Context:
    """A rendered build context. The fingerprint stands for all that decides what the image holds."""

    name: str
    fingerprint: str
    files: Mapping[str, File]

    def offers(self, variant: Variant) -> bool:
        """Whether a variant can be tried: the file that it needs is there."""
        return not variant.needs or variant.needs in self.files


class Contexts:
    """The contexts of all images of the catalogue, each made when it is first asked for."""

    def __init__(
        self,
        root: Path,
        variables: Mapping[str, Any],
        images: ImageSettings,
        catalogue: Mapping[str, Image] = IMAGES,
    ) -> None:
        self._root = root
        self._variables = variables
        self._images = images
        self._catalogue = catalogue
        self._made: dict[str, Context] = {}
        self._environment: Environment | None = None

    def __getitem__(self, name: str) -> Context:
        if name not in self._made:
            self._made[name] = self._make(self._catalogue[name])
        return self._made[name]

    def answers(self, variant: Variant) -> tuple[tuple[str, str], ...]:
        """The build arguments that a variant takes from the settings."""
        return tuple((argument, getattr(self._images, setting)) for argument, setting in variant.asks)

    def _make(self, image: Image) -> Context:
        named = self._images.references.get(image.name, "")
        files = {} if named or image.suite else dict(sorted(self._collect(image)))
        digest = hashlib.sha256()

        def add(*parts: str | bytes) -> None:
            # Each part with its length, so that no two lists of parts look alike.
            for part in parts:
                data = part.encode() if isinstance(part, str) else part
                digest.update(b"%d:" % len(data) + data)

        add("image", image.name, named)
        if not named:
            add("official", image.official, "suite", image.suite)
            if image.suite:
                add(BASE_VARIANT, *BASE_PACKAGES, *BASE_OPTIONS, *BASE_EXCLUDES, *BASE_INCLUDES)
            for argument, parent in image.bases:
                add("base", argument, self[parent].fingerprint)
            for variant in image.variants:
                add("variant", variant.dockerfile, *(text for pair in (variant.args + self.answers(variant)) for text in pair))
            for path, file in files.items():
                add("file", path, f"{file.mode:o}", file.data)
        return Context(image.name, digest.hexdigest()[:12], files)

    def _collect(self, image: Image) -> Iterator[tuple[str, File]]:
        yield from self._tree(image, self._root / image.context, "")
        for source, target in image.files:
            path = self._root / source
            if source.endswith(".j2"):
                yield target, File(0o644, self._render(source))
            elif path.is_dir():
                yield from self._tree(image, path, f"{target}/")
            else:
                yield target, self._read(image, path)
        for variant in image.variants:
            if variant.needs and self._images.confd_binary:
                path = self._root / Path(self._images.confd_binary).expanduser()
                try:
                    yield variant.needs, File(0o755, path.read_bytes())
                except OSError as error:
                    what = f"images.confd_binary: {self._images.confd_binary}: {error.strerror}"
                    raise ContextError(what, _("name a confd binary, or leave the setting empty")) from None

    def _tree(self, image: Image, top: Path, prefix: str) -> Iterator[tuple[str, File]]:
        if not top.is_dir():
            raise ContextError(_("image {name}: the folder {path} is missing").format(name=image.name, path=self._shown(top)))
        for path in files_below(top):
            yield prefix + path.relative_to(top).as_posix(), self._read(image, path)

    def _read(self, image: Image, path: Path) -> File:
        try:
            return read(path)
        except OSError as error:
            text = _("image {name}: {path} can't be read: {why}")
            raise ContextError(text.format(name=image.name, path=self._shown(path), why=error.strerror)) from None

    def _shown(self, path: Path) -> str:
        return str(path.relative_to(self._root)) if path.is_relative_to(self._root) else str(path)

    def _render(self, source: str) -> bytes:
        from jinja2 import Environment as Jinja
        from jinja2 import FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound, UndefinedError

        if self._environment is None:
            loader = FileSystemLoader([self._root, self._root / "conf"])
            self._environment = Jinja(loader=loader, undefined=StrictUndefined, keep_trailing_newline=True, auto_reload=False)
        try:
            return self._environment.get_template(source).render(self._variables).encode()
        except UndefinedError as error:
            raise self._undefined(source, error) from None
        except TemplateNotFound as error:
            raise ContextError(_("{template}: there is no template {name}").format(template=source, name=error.name)) from None
        except TemplateError as error:
            line = getattr(error, "lineno", "?")
            raise ContextError(_("{template}, line {line}: {why}").format(template=source, line=line, why=error.message)) from None

    def _undefined(self, source: str, error: Exception) -> ContextError:
        # Jinja rewrites the traceback so that its frames show the template's own lines.
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.endswith(".j2")]
        where = self._shown(Path(frames[-1].filename)) if frames else source
        line = frames[-1].lineno if frames else "?"
        found = re.search(r"attribute '(\w+)'|'(\w+)' is undefined", str(error))
        variable = str(error) if not found else found[1] or found[2]
        if frames and found:
            # The message has the last part of the name only; the line has the whole.
            spellings = re.findall(rf"(?:\w+\.)*{re.escape(variable)}\b", frames[-1].line or "")
            variable = max(spellings, key=len, default=variable)
        return ContextError(
            _("{template}, line {line}: there is no variable {variable}").format(template=where, line=line, variable=variable),
            _("check its spelling in the template against the settings in docs/silverlining.example.yaml"),
        )


def files_below(top: Path) -> Iterator[Path]:
    """The files of a directory that are part of what runs."""
    for folder, folders, names in os.walk(top):
        folders[:] = sorted(set(folders) - SKIPPED_DIRECTORIES)
        yield from (Path(folder, name) for name in names if not SKIPPED_FILES.fullmatch(name))


def read(path: Path) -> File:
    """A file as an image gets it. Only the executable bit counts: the rest of a mode is the umask of whoever checked the project out."""
    return File(0o755 if path.stat().st_mode & 0o100 else 0o644, path.read_bytes())


def host_files(build: BuildSettings, environ: Mapping[str, str]) -> dict[str, File]:
    """The folder host/ of every context: what the building host needs. It is no part of a fingerprint and reaches no final image."""
    index = build.pip_index or environ.get("PIP_INDEX_URL", "")
    extra = {"extra-index-url": environ.get("PIP_EXTRA_INDEX_URL", ""), "trusted-host": environ.get("PIP_TRUSTED_HOST", "")}
    pip = "".join(f"{key} = {value}\n" for key, value in {"index-url": index, **extra}.items() if value)
    sources = build.apt_sources
    if not sources and build.mirror:
        # apt-delta puts the suite of the image's own base in.
        sources = "".join(f"deb {build.mirror} {suite} main\n" for suite in ("@SUITE@", "@SUITE@-updates"))
    exports = "".join(f"export {name}={shlex.quote(environ[name])}\n" for name in GO_VARIABLES if environ.get(name))
    texts = {
        "host/ca.crt": _ca_bundle(build, environ),
        "host/sources.list": (sources.rstrip("\n") + "\n").encode() if sources else b"",
        "host/pip.conf": f"[global]\n{pip}".encode() if pip else b"",
        "host/env": exports.encode(),
    }
    return {path: File(0o644, data) for path, data in texts.items()}


def _ca_bundle(build: BuildSettings, environ: Mapping[str, str]) -> bytes:
    if build.ca_bundle:
        try:
            return Path(build.ca_bundle).expanduser().read_bytes()
        except OSError as error:
            raise ContextError(
                f"build.ca_bundle: {build.ca_bundle}: {error.strerror}", _("name a file with CA certificates, or leave the setting empty")
            ) from None
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        if environ.get(name) and Path(environ[name]).is_file():
            return Path(environ[name]).read_bytes()
    return b""


def proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """The proxies of the environment as the build arguments that every builder knows and keeps out of the history."""
    found = {name: environ.get(name) or environ.get(name.lower(), "") for name in PROXY_VARIABLES}
    return {name: value for name, value in found.items() if value}


def pack(files: Mapping[str, File]) -> io.BytesIO:
    """A tar of `files`, the same bytes for the same files: the engine's build cache looks at modes and owners too."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted(files):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(files[path].data), files[path].mode
            tar.addfile(entry, io.BytesIO(files[path].data))
    stream.seek(0)
    return stream
