"""The application's own tests, run where it runs: on the image with Python and its packages. They need no Redis and no network."""

from __future__ import annotations

from docker import APIClient

from silverlining.console.voice import Voice
from silverlining.host.contexts import SKIPPED_DIRECTORIES, pack, read
from silverlining.host.host import ROOT
from silverlining.ops.desk import Desk
from silverlining.ops.settings import read_settings


def test_the_applications_own_tests(engine: APIClient) -> None:
    """All of app/*/tests.py, which the app image leaves out."""
    from invoke import Context

    desk = Desk(Context(), read_settings({}, environ={}), Voice(quiet=True))
    image = desk.store.resolve(["django"])["django"].reference
    top = ROOT / "app"
    paths = (path for path in top.rglob("*") if path.is_file() and not SKIPPED_DIRECTORIES & set(path.relative_to(top).parts))
    files = {path.relative_to(top).as_posix(): read(path) for path in paths}
    wanted = sum(file.data.count(b"    def test_") for name, file in files.items() if name.endswith("/tests.py"))
    made = engine.create_container(
        image, ["python3", "manage.py", "test"], host_config=engine.create_host_config(network_mode="none"), labels=["sl-test-app"]
    )["Id"]
    try:
        engine.put_archive(made, "/usr/src/app", pack(files).getvalue())
        engine.start(made)
        code = engine.wait(made, timeout=120)["StatusCode"]
        text = engine.logs(made).decode()
    finally:
        engine.remove_container(made, force=True, v=True)
    assert code == 0 and wanted and f"Ran {wanted} tests" in text, text[-5000:]
