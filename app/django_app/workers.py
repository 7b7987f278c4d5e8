"""gunicorn's workers as this application needs them: they stop without dropping a hit that is being served."""

import os
import signal
import threading
import time
from types import FrameType
from typing import Any

from django.core.signals import request_finished, request_started
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker as Threads
from ping import waiting


class ThreadWorker(Threads):  # type: ignore[misc]
    def run(self) -> None:
        # Some threads stay free for health checks and for hits that don't have to wait.
        waiting.wait_by(seats=max(1, self.cfg.threads // 2))
        super().run()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        waiting.stopping.set()
        super().handle_exit(sig, frame)


def meinheld_worker() -> Any:
    """The class of meinheld's worker; meinheld is imported only where it is used."""
    from meinheld import gmeinheld, server

    def wait(seconds: float) -> None:
        """Lets the event loop serve others until the time is over.

        meinheld's own sleep knows whole seconds only, and forgets whose request it was. Waiting for a file descriptor
        is done right, so a timer writes to one.
        """
        fd = os.eventfd(0)
        timer = threading.Timer(seconds, os.eventfd_write, (fd, 1))
        timer.daemon = True
        timer.start()
        try:
            server.trampoline(fd, read=True)
        finally:
            timer.cancel()
            timer.join()
            os.close(fd)

    def error(self: Any, message: object, *args: Any, **kwargs: Any) -> None:
        """meinheld replaces gunicorn's logger method by one that takes an exception's three parts only; take both."""
        if isinstance(message, type):
            self.error_log.error("Error in the event loop", exc_info=(message, *args))
        else:
            self.error_log.error(message, *args, **kwargs)

    class MeinheldWorker(gmeinheld.MeinheldWorker):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            Logger.error = error

        def run(self) -> None:
            # meinheld takes SIGTERM in C and tells nobody. A thread receives it instead, so that hits that wait give up
            # in time: the event loop stops taking connections, and ends after a second or two.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            self.begun = self.ended = 0
            request_started.connect(self.count_in)
            request_finished.connect(self.count_out)
            threading.Thread(target=self.stop_when_told, daemon=True).start()
            waiting.wait_by(wait, seats=100)
            super().run()

        def count_in(self, **facts: object) -> None:
            self.begun += 1

        def count_out(self, **facts: object) -> None:
            self.ended += 1

        def stop_when_told(self) -> None:
            signal.sigwait({signal.SIGTERM})
            waiting.stopping.set()
            server.stop(1)
            # The event loop sits its time out for connections that a proxy keeps open. If no hit has come for a while and none
            # is being served, there is nothing to wait for; under load the loop's own end comes first.
            self.log.info("Worker exiting as soon as it is quiet (pid: %s)", self.pid)
            before, quiet = -1, 0
            while quiet < 3:
                time.sleep(0.05)
                quiet = quiet + 1 if self.begun == self.ended == before else 0
                before = self.ended
            os._exit(0)

    return MeinheldWorker
