"""Writes ``docs/settings.md`` from the table of environment variables, or checks that it is up to date."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from compressionhub import env

PAGE = env.ROOT / "docs" / "settings.md"
HEAD = """# Settings

Every environment variable the product reads, made from `compressionhub/env.py` by `python3 manage.py settings_page`.
A worker reads `REDIS_URL`, `HUB_STORE`, `HUB_CACHE`, `HUB_STEP_CACHE_BYTES`, `HUB_SLOTS`, `HUB_QUEUES`, `HUB_NODE`,
`HUB_PROFILE`, `HUB_CALIBRATE` and `HUB_AARCH64`; it should not be given the others.

| variable | holds | without it | meaning |
|---|---|---|---|
"""


def page() -> str:
    """The page as Markdown."""
    rows = (f"| `{each.name}` | {each.kind} | {each.shown} | {each.meaning} |\n" for each in env.VARIABLES)
    return HEAD + "".join(rows)


class Command(BaseCommand):
    help = "Write docs/settings.md, or with --check only say whether it is up to date."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["check"]:
            PAGE.parent.mkdir(exist_ok=True)
            PAGE.write_text(page())
        elif not PAGE.exists() or PAGE.read_text() != page():
            raise CommandError("docs/settings.md is not what the table says: run python3 manage.py settings_page.")
