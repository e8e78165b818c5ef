"""Serves the hub: on a socket the supervisor already holds (``--fd``), or on an address of its own."""

import argparse
import os
import socket

import uvicorn


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "compressionhub.settings")
    parser = argparse.ArgumentParser(prog="python -m compressionhub.site.serve")
    parser.add_argument("--fd", type=int)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    config = uvicorn.Config(
        "compressionhub.asgi:application",
        host=options.host,
        port=options.port,
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="warning",
        timeout_graceful_shutdown=3,  # live pages keep their sockets open; they reconnect by themselves
        ws_ping_interval=20,
        ws_max_size=65_536,
        server_header=False,
    )
    sockets = None if options.fd is None else [socket.socket(fileno=options.fd)]
    uvicorn.Server(config).run(sockets=sockets)


if __name__ == "__main__":
    main()
