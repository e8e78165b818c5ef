"""What uvicorn serves: HTTP by Django, sockets by channels and only from our own pages."""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "compressionhub.settings")

from django.core.asgi import get_asgi_application

http: Any = get_asgi_application()  # first: it sets Django up, which the sockets' models need

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.conf import settings

from compressionhub.jobs.routing import websocket_urlpatterns
from compressionhub.library.streaming import StreamUploads
from compressionhub.site import garbage
from compressionhub.site.bodies import BoundBodies

MOST_BYTES = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
sockets = AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)))
application = ProtocolTypeRouter({"http": StreamUploads(BoundBodies(http, MOST_BYTES)), "websocket": sockets})
garbage.rarely()
