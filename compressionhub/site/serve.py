"""Serves the hub on a socket that the supervisor already holds: ``python -m compressionhub.site.serve FD``."""

import os
import socket
import sys

import uvicorn


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "compressionhub.settings")
    config = uvicorn.Config(
        "compressionhub.asgi:application",
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="warning",
        timeout_graceful_shutdown=3,  # live pages keep their sockets open; they reconnect by themselves
        ws_ping_interval=20,
        ws_max_size=65_536,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])


if __name__ == "__main__":
    main()
