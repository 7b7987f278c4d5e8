"""A hit counts and is told the number; /healthz tells whether a hit would."""

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from ping.counter import Unavailable, counter
from ping.middleware import HOSTNAME

RETRY_AFTER = "2"


@require_safe
@vary_on_headers("Accept")
def index(request: HttpRequest) -> HttpResponse:
    """Text for curl and programs, a page for a browser. HEAD is answered, and counts nothing."""
    kind = request.get_preferred_type(["text/plain", "text/html"]) or "text/plain"
    if request.method == "HEAD":
        return HttpResponse(content_type=f"{kind}; charset=utf-8")
    try:
        hit = counter().hit()
    except (Unavailable, ImproperlyConfigured) as error:
        status, facts, text = 503, {"reason": str(error)}, f"not counted: {error}\n"
    else:
        status, facts, text = 200, {"number": hit.number, "master": hit.master}, f"{hit.number}\n"
    if kind == "text/html":
        response = render(request, "ping/page.html", {"hostname": HOSTNAME, **facts}, status=status)
    else:
        response = HttpResponse(text, content_type="text/plain; charset=utf-8", status=status)
    if status == 503:
        response["Retry-After"] = RETRY_AFTER
    return response


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Asks the master one cheap question. Nothing is counted."""
    try:
        return JsonResponse({"ok": True, "master": counter().probe()})
    except (Unavailable, ImproperlyConfigured) as error:
        return JsonResponse({"ok": False, "reason": str(error)}, status=503, headers={"Retry-After": RETRY_AFTER})
