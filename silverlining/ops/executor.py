"""What fab runs tasks with (fabric.yaml names it): one host as Fabric does, several side by side, each in a process of its own.

`fab -H a,b step01-nginx check`: each host gets its tasks in order, up to its first failure; a failure on one host stops no other. With `--json`
at every task standard output is one JSON object by host: what the task gives on that host (a list where there are several tasks), or
{"error": …} where it gives nothing. Everything else then goes to standard error. Exit code 1 if any host has failed.
"""

from __future__ import annotations

from typing import Any

from fabric.executor import Executor as FabricExecutor
from invoke import Exit

from ..host.ssh.config import read_includes
from ..model.errors import SilverliningError
from ..model.text import _
from .entry import message, pairs
from .hosts import SideBySide, names


class Executor(FabricExecutor):  # type: ignore[misc]
    """Fabric's, but for several hosts in `-H`."""

    def execute(self, *tasks: Any) -> Any:
        """Runs the tasks on every host. Raises Exit with code 1 if that failed anywhere."""
        option = self.core[0].args.hosts
        try:
            if self.core.remainder:
                raise SilverliningError(_("what stands after -- is no task of ours"), _("`ssh HOST COMMAND` runs a command there"))
            read_includes(self.config)
            hosts = names(option.value) if option.value else []
            at_once = self._at_once(tasks) if len(hosts) > 1 else 1
        except SilverliningError as error:
            raise Exit(message(str(error)), code=1) from None
        if len(hosts) < 2:
            option.value = ",".join(hosts)
            return super().execute(*tasks)

        def work(host: str) -> None:
            option.value = host
            super(Executor, self).execute(*tasks)

        if not SideBySide(hosts, at_once, work, json=all(task.as_kwargs.get("json") for task in tasks)).run():
            raise Exit(code=1)
        return {}

    def _at_once(self, tasks: tuple[Any, ...]) -> int:
        from .settings import read_settings

        given = [text for task in tasks for text in task.as_kwargs.get("set") or []]
        return read_settings(pairs(given)).ssh.hosts_at_once
