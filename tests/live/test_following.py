"""Following a job from outside, over real sockets of a real web process."""

from __future__ import annotations

import asyncio
import json
import time

import httpx
import pytest
import websockets
from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.test import Client

from compressionhub.accounts.actions import create_token
from compressionhub.jobs.models import Job, JobEvent
from compressionhub.jobs.states import ENDED

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


class Page:
    """What the job page's module does: keep the highest position, drop what it has seen, come back after a cut."""

    def __init__(self, url: str, cookie: str) -> None:
        self.url, self.headers = url, {"Cookie": f"{django_settings.SESSION_COOKIE_NAME}={cookie}"}
        self.position, self.state, self.cuts = 0, "", 0
        self.seen: list[int] = []
        self.repeated: list[int] = []

    async def follow(self) -> None:
        while self.state not in ENDED:
            try:
                async with websockets.connect(
                    f"{self.url}?after={self.position}", additional_headers=self.headers, origin="http://127.0.0.1"
                ) as socket:
                    async for text in socket:
                        self._take(json.loads(text))
                        if self.state in ENDED:
                            return
            except (OSError, websockets.WebSocketException):
                pass
            self.cuts += 1
            await asyncio.sleep(0.2)

    def _take(self, message: dict) -> None:
        for row in message["rows"]:
            (self.seen if row["position"] > self.position else self.repeated).append(row["position"])
            self.position = max(self.position, row["position"])
        self.state = message["state"] or self.state


async def test_a_page_loses_and_repeats_nothing_when_the_web_process_is_killed(site, ready, bob, port):
    site.relay()
    site.worker()
    web = site.web(port)
    job = await sync_to_async(ready)()
    browser = Client()
    await sync_to_async(browser.force_login)(bob)
    cookie = browser.cookies[django_settings.SESSION_COOKIE_NAME].value
    page = Page(f"ws://127.0.0.1:{port}/ws/jobs/{job.pk}/", cookie)
    following = asyncio.create_task(page.follow())
    while len(page.seen) < 5:
        await asyncio.sleep(0.05)

    web.kill()
    await asyncio.to_thread(web.wait)
    await asyncio.to_thread(site.web, port)
    await asyncio.wait_for(following, 120)

    job = await Job.objects.aget(pk=job.pk)
    assert page.cuts >= 1
    assert (page.state, page.repeated) == ("succeeded", [])
    assert page.seen == list(range(1, job.position + 1))


def test_server_sent_events_arrive_while_the_job_runs_and_end_with_it(site, ready, bob, port):
    site.relay()
    site.worker()
    site.web(port)
    job = ready("tidy")
    _, secret = create_token(user=bob, team=job.team, name="test")
    arrived: list[tuple[float, int]] = []

    with httpx.stream(
        "GET",
        f"http://127.0.0.1:{port}/api/v1/jobs/{job.pk}/events",
        headers={"Authorization": f"Bearer {secret}"},
        timeout=60,
    ) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        for line in answer.iter_lines():
            if line.startswith("id: "):
                arrived.append((time.time(), int(line[4:])))

    job.refresh_from_db()
    written = dict(JobEvent.objects.filter(job=job).values_list("position", "at"))
    assert [position for _, position in arrived] == list(range(1, job.position + 1))
    assert max(at - written[position].timestamp() for at, position in arrived[2:]) < 5
