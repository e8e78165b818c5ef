"""Which version served what and when: the same card on an entry's page and on a model's."""

from __future__ import annotations

from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from compressionhub.accounts.http import HubRequest
from compressionhub.accounts.models import Team, User
from compressionhub.accounts.permissions import Verb, may
from compressionhub.estimates.models import Workload
from compressionhub.library.models import ModelVersion
from compressionhub.zoo.models import Deployment, Entry

MOST_SHOWN = 40


def panel(request: HubRequest, version: ModelVersion) -> SafeString:
    """The history of a model, on the page of one of its versions."""
    return mark_safe(render_to_string("zoo/_deployments.html", history(request.user, version), request))


def history(user: User, version: ModelVersion, entry: Entry | None = None) -> dict[str, object]:
    """What the card shows: deployments of the whole model, newest first, whatever version serves now."""
    versions = ModelVersion.objects.filter(model=version.model_id)
    found = Deployment.objects.visible_to(user).of_versions(versions)[: MOST_SHOWN + 1]
    return {
        "deployments": found[:MOST_SHOWN],
        "more": len(found) > MOST_SHOWN,
        "baseline": version,
        "entry": entry,
        "may_record": may(user, Verb.RECORD_DEPLOYMENT, version.team),
        "has_workload": has_workload(version.team),
    }


def has_workload(team: Team) -> bool:
    return Workload.objects.filter(team=team).exists()
