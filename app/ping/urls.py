"""The two addresses of the ping application."""

from django.urls import path

from ping import views

app_name = "ping"
urlpatterns = [
    path("", views.index, name="index"),
    path("healthz", views.healthz, name="healthz"),
]
