"""Compiles every template, so that a misspelt tag is found before a person meets it."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.template import TemplateSyntaxError
from django.template.loader import get_template


class Command(BaseCommand):
    help = "Compile every template in frontend/templates."

    def handle(self, *args: Any, **options: Any) -> None:
        folder = settings.BASE_DIR / "frontend" / "templates"
        names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix in (".html", ".txt"))
        faults = [fault for name in names if (fault := _fault(name))]
        if faults:
            raise CommandError("\n".join(faults))
        self.stdout.write(f"{len(names)} templates compile.")


def _fault(name: str) -> str:
    try:
        get_template(name)
    except (TemplateSyntaxError, UnicodeDecodeError) as error:
        return f"{name}: {error}"
    return ""
