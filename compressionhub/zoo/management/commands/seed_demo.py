"""``manage.py seed_demo``: give the first team something real to look at."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from compressionhub.zoo import demo


class Command(BaseCommand):
    help = "Fill the first team with the digits sample through the real actions; needs a running worker and relay."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            demo.seed(say=lambda text: self.stdout.write(text))
        except demo.NotInTime as error:
            raise CommandError(str(error)) from None
