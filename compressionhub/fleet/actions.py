"""Rights of workers on other hosts: given and taken back by whoever runs the hub."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from compressionhub.accounts import tokens
from compressionhub.accounts.actions import audit
from compressionhub.fleet.models import WorkerToken


@transaction.atomic
def give_token(*, node: str) -> str:
    """Make a token for a worker's name; one it had before stops working.

    Returns:
        The token, which is stored nowhere.
    """
    secret = tokens.new_secret()
    row, _ = WorkerToken.objects.update_or_create(
        node=node, defaults={"digest": tokens.digest(secret), "created_at": timezone.now(), "revoked_at": None}
    )
    audit(None, "worker.give_token", row)
    return secret


@transaction.atomic
def revoke_token(*, node: str) -> bool:
    """Let a worker's token work no more; whether there was one that did."""
    row = WorkerToken.objects.select_for_update().filter(node=node, revoked_at=None).first()
    if row is None:
        return False
    row.revoked_at = timezone.now()
    row.save(update_fields=["revoked_at"])
    audit(None, "worker.revoke_token", row)
    return True
