"""The namespace: one task for each step of the course, and the operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke import Collection, Exit, Task, task

from silverlining.ops.entry import on_host, operation, step_task, tidy_invoke
from steps import NAMES

if TYPE_CHECKING:
    from silverlining.ops.desk import Desk


@on_host(yes="take away without asking", dry="print the plan and change nothing")
def deploy_all(desk: Desk) -> None:
    """Bring up the whole stack, straight to the last step.

    Example: invoke deploy-all --set ports.web=8081
    """
    from silverlining.ops.run import deploy_all as deploy

    deploy(desk)


@on_host(
    start="the step to begin with; where the host stands if left out",
    end="the step to end with; the last one if left out",
    no_wait="play through without keys, also in a pipe",
    yes="with --no-wait: go to --start without asking, whatever that takes away",
    dry="print what would be played and change nothing",
)
def walkthrough(desk: Desk, start: str = "", end: str = "", no_wait: bool = False) -> None:
    """Play the lessons in order, page by page, each key a step on or back.

    Example: invoke walkthrough --start step01-nginx --end step05-sentinel
    """
    from silverlining.ops.walkthrough import walkthrough as play

    play(desk, start, end, wait=not no_wait)


@on_host(
    yes="remove without asking",
    volumes="remove the data too",
    images="remove the images that were built",
    dry="print what would go and change nothing",
)
def teardown(desk: Desk, volumes: bool = False, images: bool = False) -> None:
    """Take everything away again; data and images stay unless asked for.

    Example: invoke teardown --yes --volumes
    """
    from silverlining.ops.teardown import teardown as remove

    remove(desk, volumes, images)


@on_host(json="JSON on standard output, nothing else")
def status(desk: Desk) -> None:
    """What stands: services, containers, health, roles, and the step.

    Example: invoke status --json
    """
    from silverlining.ops.status import status as look

    desk.give(look(desk))


@on_host(step="the step to check; the one that stands if left out", json="JSON on standard output")
def check(desk: Desk, step: str = "") -> None:
    """Ask again what the step's lesson claims; changes nothing.

    Example: invoke check --step step05-sentinel
    """
    from silverlining.ops.run import check as ask

    desk.give_checks(*ask(desk, step))


@on_host(last="how many operations, the newest at the end; 0 for all", json="JSON on standard output, nothing else")
def audit(desk: Desk, last: str = "20") -> None:
    """Who changed what on this host, and when.

    Example: invoke audit --last 50
    """
    from silverlining.ops.audit import audit as tell

    desk.give(tell(desk, last))


@on_host(
    step="the step to draw; what stands if left out",
    since="mark what is new since that step; the one before, where --step is given",
    out="a file to write: FILE.svg a picture, FILE.mmd Mermaid text",
    mermaid="Mermaid text on standard output",
    json="the same as data, on standard output",
)
def picture(desk: Desk, step: str = "", since: str = "", out: str = "", mermaid: bool = False) -> None:
    """Draw a step, or what stands: here, as SVG, or as Mermaid.

    Without --step it asks the engine and shows the roles as they are now; with --step no engine is needed.

    Example: invoke picture --step step08-netdata --out stack.svg
    """
    from silverlining.ops.picture import show

    desk.give(show(desk, step, since, out, mermaid))


@on_host(
    counts="service=number, several with commas: ping-app=5,redis-slave=3,sentinel=5",
    yes="also where other settings or other code would be deployed with it",
    dry="print the plan and change nothing",
    json="JSON on standard output, nothing else",
)
def scale(desk: Desk, counts: str) -> None:
    """Change how many containers stand, until the next deploy.

    Example: invoke scale ping-app=5,redis-slave=3,sentinel=5
    """
    from silverlining.ops.scale import scale as change

    desk.give(change(desk, counts))


@on_host(
    iterable=["service"],
    service="only this service; several with commas, or the flag again",
    follow="go on with what comes, until Ctrl-C",
    since="what is not older than this: 90s, 5m, 2h, 1d, or a time",
    tail="the last lines of each container: a number or all (50; all with --since)",
    timestamps="the time in front of each line (UTC)",
)
def logs(desk: Desk, service: list[str] | None = None, follow: bool = False, since: str = "", tail: str = "", timestamps: bool = False) -> None:
    """The logs of all containers side by side, in order of time.

    Example: invoke logs --service ping-app --since 5m --follow
    """
    from silverlining.ops.logs import show_logs

    show_logs(desk, service or [], follow=follow, since=since, tail=tail, timestamps=timestamps)


@on_host(service="the service", index="which of its containers; the first that runs if left out")
def shell(desk: Desk, service: str, index: str = "") -> None:
    """A shell inside a container, on this terminal.

    Example: invoke shell ping-app --index 2
    """
    from silverlining.ops.shell import container_of, open_shell

    code = open_shell(desk, container_of(desk, service, index))
    if code:
        raise Exit(code=code)


@on_host("open", service="haproxy, statistics, netdata, etcd, nginx, django, ping-app", json="JSON on standard output")
def open_(desk: Desk, service: str) -> None:
    """Print a service's address, and open it in a browser where there is one.

    Example: invoke open netdata
    """
    from silverlining.ops.open import open_service

    desk.give(open_service(desk, service))


@task(help={"fast": "only what needs no Docker engine", "select": "a pytest expression (-k)"})
def test(c: Any, fast: bool = False, select: str = "") -> None:
    """Run the tests: style, types, units, and on a real engine.

    Example: invoke test --fast
    """
    with operation(c, None, here=True) as desk:
        from silverlining.ops.test import test as run

        run(desk, fast, select)


@on_host(
    here=True,
    json="JSON on standard output",
    runs="how many runs a figure; fewer than 5 are said to be too few",
    cold="build every image once more (--no-cold leaves it out)",
)
def bench(desk: Desk, runs: str = "5", cold: bool = True) -> None:
    """Measure deploy, no-op and teardown beside Docker Compose.

    Example: invoke bench --runs 7 --no-cold
    """
    from silverlining.ops.bench import bench as measure

    desk.yes = True
    desk.give(measure(desk, runs, cold))


@on_host(
    here=True,
    record="play the lessons on a new stack first, and keep what they say",
    step="record this one only",
    dry="say what would be done and change nothing",
)
def docs(desk: Desk, record: bool = False, step: str = "") -> None:
    """Write the pages and pictures of the course from the lessons and recorded runs.

    Example: invoke docs --record --step step05-sentinel
    """
    from silverlining.ops.docs import docs as write

    write(desk, record, step)


@on_host(json="JSON on standard output")
def list_images(desk: Desk) -> None:
    """The images of the course: which are here, from which rung, and how the others would be got.

    Example: invoke images --json
    """
    from silverlining.ops.bundles import list_images as look

    desk.give(look(desk))


@on_host(file="where the bundle goes", yes="replace a file that is there", dry="say what would be written and change nothing")
def save_images(desk: Desk, file: str) -> None:
    """All images of the course into one file, for a host without a network.

    Example: invoke images.save /media/stick/silverlining.bundle
    """
    from silverlining.ops.bundles import save_images as save

    save(desk, file)


@on_host(file="a bundle", dry="check the file, say what would be loaded and change nothing")
def load_images(desk: Desk, file: str) -> None:
    """Load the images of a bundle; a damaged or foreign one is refused before anything is loaded.

    Example: invoke images.load /media/stick/silverlining.bundle
    """
    from silverlining.ops.bundles import load_images as load

    load(desk, file)


@on_host(json="JSON on standard output")
def doctor(desk: Desk) -> None:
    """What this host has for the course, what is missing, and what to do about it; changes nothing.

    Example: invoke doctor --json
    """
    from silverlining.ops.doctor import doctor as ask

    desk.give_diagnosis(*ask(desk))


@on_host(file="where the backup goes", yes="replace a file that is there", dry="say what would be written and change nothing")
def backup(desk: Desk, file: str) -> None:
    """The counter and etcd's keys into one file, while the stack serves.

    Example: invoke backup /var/backups/counter.backup
    """
    from silverlining.ops.backup import backup as save

    save(desk, file)


@on_host(file="a backup", yes="replace the data that is there without asking", dry="check the file, say what would be done and change nothing")
def restore(desk: Desk, file: str) -> None:
    """The data of a backup back into the stack; on a bare host its step is brought up first.

    Example: invoke restore /var/backups/counter.backup
    """
    from silverlining.ops.restore import restore as bring_back

    bring_back(desk, file)


OPERATIONS: tuple[Task[Any], ...] = (
    *(walkthrough, deploy_all, teardown, status, audit, check, doctor, picture),
    *(scale, logs, shell, open_, backup, restore),
    *(test, bench, docs),
)

namespace = Collection()
for name in NAMES:
    namespace.add_task(step_task(name), name)
for one in OPERATIONS:
    namespace.add_task(one)

images = Collection("images")
images.add_task(list_images, "list", default=True)
images.add_task(save_images, "save")
images.add_task(load_images, "load")
namespace.add_collection(images)

tidy_invoke(lambda: list(namespace.task_names))
