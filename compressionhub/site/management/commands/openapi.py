from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand

from compressionhub import env
from compressionhub.api import api
from workers.recipe import techniques

PAGE = env.ROOT / "docs" / "openapi.json"


def page() -> str:
    """The description of the API, as it lies in ``docs/openapi.json``.

    The techniques' own schemas are left out: a new technique is one new file, and the hub serves the rest.
    """
    schema: Any = json.loads(json.dumps(api.get_openapi_schema(), default=str))
    schemas = schema["components"]["schemas"]
    for kind in techniques().values():
        schemas.pop(kind.__name__, None)
    schemas["JobIn"]["properties"]["steps"]["items"] = {
        "type": "object",
        "description": "A technique with its parameters: one schema each in /api/v1/openapi.json.",
        "required": ["technique"],
        "properties": {"technique": {"type": "string"}},
    }
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"


class Command(BaseCommand):
    help = "Write docs/openapi.json anew from the operations."

    def handle(self, *args: Any, **options: Any) -> None:
        PAGE.write_text(page())
        self.stdout.write(f"Wrote {PAGE}")
