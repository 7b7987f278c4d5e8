"""An engine's own CA counts, whatever the environment says of others."""

from __future__ import annotations

import pytest
from requests import Session

from silverlining.host.engine import keep_own_ca


@pytest.mark.parametrize("verify", ["/certs/ca.pem", False])
def test_the_environments_bundle_is_not_asked(monkeypatch: pytest.MonkeyPatch, verify: str | bool) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/other.crt")
    session = Session()
    session.verify = verify
    words = ("https://engine:2376/version", {}, None, None, None)
    assert session.merge_environment_settings(*words)["verify"] == "/etc/other.crt"
    keep_own_ca(session)
    settings = session.merge_environment_settings(*words)
    assert settings["verify"] == verify and {"proxies", "stream", "cert"} <= set(settings)
