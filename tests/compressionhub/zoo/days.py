"""Days as tests speak of them."""

from datetime import date, timedelta

from django.utils import timezone

TODAY = timezone.localdate()


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)
