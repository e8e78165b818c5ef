#!/usr/bin/env python3
"""The one command of the product: ``up`` runs the site, ``test`` the tests, ``lint`` the checks."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "compressionhub.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
