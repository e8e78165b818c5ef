"""The addresses of requests for approval."""

from django.urls import path

from compressionhub.zoo.approvals import views

app_name = "approvals"
urlpatterns = [
    path("", views.index, name="index"),
    path("<uuid:pk>/", views.approval, name="approval"),
    path("<uuid:pk>/decide/", views.decide, name="decide"),
    path("<uuid:pk>/take-back/", views.take_back, name="take-back"),
    path("ask/<uuid:report>/", views.ask, name="ask"),
]
