"""The addresses of the project: the ping application answers at the root."""

from django.urls import include, path

urlpatterns = [path("", include("ping.urls"))]
