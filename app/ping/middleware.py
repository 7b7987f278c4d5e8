"""What every answer of this container carries, errors too."""

import socket
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

HOSTNAME = socket.gethostname()
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def served_by(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response["X-Served-By"] = HOSTNAME
        response["Cache-Control"] = "no-store"
        response["Content-Security-Policy"] = POLICY
        return response

    return middleware
