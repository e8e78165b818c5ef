from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand

from compressionhub import env
from compressionhub.api import api

PAGE = env.ROOT / "docs" / "openapi.json"


def page() -> str:
    """The description of the API, as it lies in ``docs/openapi.json``."""
    return json.dumps(api.get_openapi_schema(), indent=1, sort_keys=True, default=str) + "\n"


class Command(BaseCommand):
    help = "Write docs/openapi.json anew from the operations."

    def handle(self, *args: Any, **options: Any) -> None:
        PAGE.write_text(page())
        self.stdout.write(f"Wrote {PAGE}")
