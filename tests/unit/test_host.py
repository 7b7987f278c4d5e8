"""Commands on this machine: one that is interrupted before it has begun ends as Ctrl-C does."""

from __future__ import annotations

import pytest
from invoke import Context

from silverlining.host.host import _for_real


def test_an_interrupt_before_the_command_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invoke's runner looks at the end of a run at what its beginning would have set: that must not hide the interrupt."""
    context = _for_real(Context())

    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(context.config["runners"]["local"], "_setup", interrupted)
    with pytest.raises(KeyboardInterrupt):
        context.run("true")
