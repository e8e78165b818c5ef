"""Rights of workers on other hosts, given and taken back by whoever runs the hub; and times of real devices."""

from __future__ import annotations

import hashlib

from django.db import transaction
from django.utils import timezone

from compressionhub.accounts import tokens
from compressionhub.accounts.actions import audit
from compressionhub.accounts.models import Team, User
from compressionhub.accounts.permissions import Verb, require
from compressionhub.errors import Invalid, WrongState
from compressionhub.fleet.models import DeviceTime, WorkerToken
from compressionhub.library.names import display_name
from workers.device import DeviceProfile
from workers.emulation import latency_file

MOST_TIMES = 50  # a profile needs six to eight; a ticket carries them all


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


@transaction.atomic
def upload_time(*, team: Team, by: User, device: DeviceProfile, name: str, content: bytes) -> DeviceTime:
    """Keep a latency file of a real device for a profile: from now on it anchors the team's predictions there.

    Raises:
        NotAllowed: if ``by`` may not upload for this team.
        YoursToFix: if it is no latency file, or one of another device.
        Invalid: if the team has this file already, or too many for the profile.
    """
    require(by, Verb.UPLOAD, team)
    body = latency_file.read(content)
    latency_file.require_from(body, device)
    digest = hashlib.sha256(content).hexdigest()
    Team.objects.select_for_update().get(pk=team.pk)  # two uploads at once are counted one after the other
    there = DeviceTime.objects.of(team, device.key)
    if there.filter(sha256=digest).exists():
        raise Invalid(
            "Expected a new latency file, found one that is here already.",
            hint="Measure again, or leave it.",
            code="latency-file.known",
        )
    if there.count() >= MOST_TIMES:
        raise Invalid(
            f"Expected at most {MOST_TIMES} latency files for a device, found as many.",
            hint="Remove old ones first.",
            code="latency-file.too-many",
        )
    made = DeviceTime.objects.create(
        team=team,
        device=device.key,
        name=display_name(name, otherwise="latency file"),
        sha256=digest,
        body_json=body.model_dump(mode="json"),
        uploaded_by=by,
    )
    audit(by, "device-time.upload", made, device=device.key, sha256=digest)
    return made


@transaction.atomic
def remove_time(*, time: DeviceTime, by: User) -> None:
    """Let a latency file anchor nothing any more. Reports that rested on it keep what they say.

    Raises:
        NotAllowed: if ``by`` may not upload for this team.
        WrongState: if it is gone already.
    """
    require(by, Verb.UPLOAD, time.team)
    found = DeviceTime.objects.select_for_update().filter(pk=time.pk).first()
    if found is None:
        raise WrongState("This latency file is gone already.", hint="Reload the page.")
    audit(by, "device-time.remove", found, device=found.device, sha256=found.sha256)
    found.delete()
