"""Brings a site up to date before it starts: migrations, static files, the first person."""

import json
import sys
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from compressionhub.accounts import actions


class Command(BaseCommand):
    help = "Migrate, collect static files and make the first person; the last line is who that is, as JSON, or null."

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0, stdout=sys.stderr)
        if not settings.DEBUG:
            call_command("collectstatic", interactive=False, verbosity=0, stdout=sys.stderr)
        made = actions.first_start()
        self.stdout.write(json.dumps({"user": made[0], "password": made[1]} if made else None))
