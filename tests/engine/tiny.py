"""The smallest image that the tests need: a few of this machine's programs with their libraries, imported within a moment."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile

from docker import APIClient

IMAGE = "silverlining-test/lock:2"
PROGRAMS = ("cat", "bash", "mv", "stat", "tail")


def make_image(api: APIClient) -> bool:
    """Imports the image; False when it is there already."""
    if api.images(IMAGE):
        return False
    files = {f"bin/{program}": shutil.which(program) or f"/bin/{program}" for program in PROGRAMS}
    listed = subprocess.run(["ldd", *files.values()], capture_output=True, text=True, check=True).stdout
    for word in listed.replace("\t", " ").split():
        if word.startswith("/") and not word.endswith(":"):
            files[word.lstrip("/")] = word
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, path in files.items():
            tar.add(os.path.realpath(path), name)
    repository, tag = IMAGE.split(":")
    api.import_image_from_data(buffer.getvalue(), repository=repository, tag=tag, changes=["ENV PATH=/bin"])
    return True
