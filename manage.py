#!/usr/bin/env python3
"""The one command of the product.

up     run the site: installs what is missing, then web, relay, worker and Valkey
test   run the tests        lint   run the checks        bench   print the figures

Everything else is a command of Django's: ``python3 manage.py help``.
This file has to be readable by any Python 3, so that an old one can be told what is wrong.
"""

import os
import sys

OLDEST, NEWEST = (3, 11), (3, 13)
OWN_COMMANDS = {
    "up": "compressionhub.site.up",
    "test": "compressionhub.site.testing",
    "lint": "compressionhub.site.lint",
    "bench": "compressionhub.site.bench",
}
NEEDS_TESTS = ("test", "lint")
INSTALLS = ("up", "test", "lint", "bench")


def wrong_python(version):
    """Say what is wrong with this version of Python, or nothing."""
    if OLDEST <= tuple(version[:2]) <= NEWEST:
        return ""
    return (
        "Expected Python 3.11, 3.12 or 3.13, found {}.{}: "
        "run this command with one of them, for example python3.12 manage.py up.".format(*version[:2])
    )


def main():
    problem = wrong_python(sys.version_info)
    if problem:
        sys.exit(problem)
    from compressionhub.site import bootstrap

    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    bootstrap.enter(sys.argv, install=command in INSTALLS, tests=command in NEEDS_TESTS)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "compressionhub.settings")
    if command in OWN_COMMANDS:
        import importlib

        sys.exit(importlib.import_module(OWN_COMMANDS[command]).main(sys.argv[2:]))
    if command in ("help", "--help", "-h") and len(sys.argv) < 3:
        print(__doc__)
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
