"""Which sockets there are."""

from django.urls import path

from compressionhub.jobs.consumers import JobConsumer

websocket_urlpatterns = [path("ws/jobs/<uuid:pk>/", JobConsumer.as_asgi())]
