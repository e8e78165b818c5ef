"""The addresses that change workloads; the pages that show them are the zoo's."""

from django.urls import path

from compressionhub.estimates import views

app_name = "estimates"
urlpatterns = [
    path("new/", views.new, name="new"),
    path("<uuid:pk>/change/", views.change, name="change"),
    path("<uuid:pk>/usual/", views.usual, name="usual"),
    path("<uuid:pk>/delete/", views.delete, name="delete"),
]
