"""What machines ask a site: does it live, and how is it doing."""

import secrets
from collections.abc import Iterator

from django.conf import settings
from django.db import connection
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from compressionhub.fleet.models import Node, RelayState
from compressionhub.jobs.models import Job
from compressionhub.jobs.states import State

LOOPBACK = ("127.0.0.1", "::1")


def healthz(request: HttpRequest) -> JsonResponse:
    """200 while the site can read its database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse({"status": "ok"})


def metrics(request: HttpRequest) -> HttpResponse:
    """The figures of the site for Prometheus; a 404 for whoever may not read them."""
    if not _may_read_metrics(request):
        raise Http404
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _may_read_metrics(request: HttpRequest) -> bool:
    """With the token, or without one from this machine and past no proxy."""
    if settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return secrets.compare_digest(given.encode(), settings.METRICS_TOKEN.encode())
    return request.META.get("REMOTE_ADDR") in LOOPBACK and "X-Forwarded-For" not in request.headers


class Figures(Collector):
    """Reads the rows when it is asked; keeps nothing between two questions."""

    def collect(self) -> Iterator[Metric]:
        yield self._jobs()
        now, relay = timezone.now(), RelayState.current()
        yield GaugeMetricFamily("hub_nodes_alive", "Worker hosts heard of lately.", Node.objects.alive(now).count())
        yield GaugeMetricFamily("hub_relay_delay_ms", "From an event entering the stream to its rows.", relay.delay_ms)
        yield GaugeMetricFamily("hub_relay_waiting", "Stream entries not applied yet.", relay.waiting)
        yield GaugeMetricFamily("hub_relay_applied", "Stream entries applied since the first start.", relay.applied)
        if relay.seen_at:
            silent = (now - relay.seen_at).total_seconds()
            yield GaugeMetricFamily("hub_relay_silent_seconds", "Since the relay was last heard of.", silent)

    def _jobs(self) -> GaugeMetricFamily:
        counted = dict(Job.objects.order_by().values_list("state").annotate(Count("pk")))
        family = GaugeMetricFamily("hub_jobs", "Jobs by state.", labels=["state"])
        for state in State:
            family.add_metric([state.value], counted.get(state.value, 0))
        return family
