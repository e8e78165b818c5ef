"""A real worker process against a real Valkey: tickets in, stamped events out, and every way to be stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import redis

from compressionhub.site.valkey import Valkey
from workers.events import MESSAGE, STREAM, Beat, Envelope, Event, Message, stop_job_key, stop_run_key
from workers.store import FolderStore
from workers.tasks import TASK, celery_app
from workers.ticket import Kind, Ticket

ROOT = Path(__file__).parents[2]
REAL = ("-m", "workers", "work")
DEEDS = (str(Path(__file__).with_name("worker_script.py")),)


@dataclass
class Hub:
    """The hub's end of the line, as far as a worker can tell."""

    url: str
    folder: Path
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    attempts: int = 0

    @property
    def redis(self) -> "redis.Redis":
        return redis.Redis.from_url(self.url)

    def start(self, *command: str, name: str = "host", **more: str) -> "subprocess.Popen[bytes]":
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "REDIS_URL": self.url, "HUB_NODE": name}
        environment |= {"HUB_STORE": str(self.folder / "store"), "HUB_SLOTS": "1", "HUB_CALIBRATE": "0"} | more
        log = (self.folder / f"{len(self.workers)}.log").open("wb")
        process = subprocess.Popen([sys.executable, *command], env=environment, cwd=ROOT, stdout=log, stderr=log)
        self.workers.append(process)
        return process

    def send(self, deed: str, *, job: str = "job-1", **more: Any) -> Ticket:
        """Queue a ticket for a deed of the sandbox tests."""
        self.attempts += 1
        values = {"kind": Kind.INSPECT, "attempt": self.attempts, "team": "t", "device": deed} | more
        ticket = Ticket(job=job, **values)
        self.send_raw(ticket.model_dump(mode="json"))
        return ticket

    def send_raw(self, body: Any) -> None:
        app = celery_app(self.url)
        app.send_task(TASK, args=[body], queue="cpu")
        app.close()

    def heard(self) -> list[Message]:
        entries: Any = self.redis.xrange(STREAM)
        return [MESSAGE.validate_json(values[b"body"]) for _, values in entries]

    def beats(self) -> list[Beat]:
        return [message for message in self.heard() if isinstance(message, Beat)]

    def envelopes(self, attempt: int = 1) -> list[Envelope]:
        return [item for item in self.heard() if isinstance(item, Envelope) and item.attempt == attempt]

    def events(self, attempt: int = 1) -> list[Event]:
        return [envelope.event for envelope in self.envelopes(attempt)]

    def until(self, claim: Callable[[], Any], *, seconds: float = 20) -> Any:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if found := claim():
                return found
            time.sleep(0.02)
        logs = [path.read_text()[-2000:] for path in sorted(self.folder.glob("*.log"))]
        raise AssertionError(f"It did not happen within {seconds} s. Heard: {self.heard()[-5:]}. Logs: {logs}")

    def finished(self, attempt: int = 1) -> Event:
        def ended() -> list[Event]:
            return [event for event in self.events(attempt) if event.type == "finished"]

        return self.until(ended)[0]

    def runs_child(self, attempt: int = 1) -> Envelope:
        """Wait until the child itself has said something."""
        return self.until(lambda: [item for item in self.envelopes(attempt) if item.event.type == "log"])[0]

    def children(self, worker: "subprocess.Popen[bytes]") -> list[int]:
        listed = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
        ).stdout
        rows = [line.split(None, 2) for line in listed.splitlines()]
        return [int(row[0]) for row in rows if row[1] == str(worker.pid) and "workers child" in row[2]]


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(tmp_path / "valkey")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def hub(valkey: Valkey, tmp_path: Path) -> Iterator[Hub]:
    found = Hub(valkey.url_file.read_text(), tmp_path)
    yield found
    for worker in found.workers:
        if worker.poll() is None:
            worker.terminate()
        try:
            worker.wait(10)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_worker_says_who_it_is_before_anything_else(hub):
    hub.start(*REAL, name="gauss")

    first = hub.until(hub.heard)[0]

    assert isinstance(first, Beat)
    assert (first.node, first.facts.name, first.facts.queues, first.facts.slots) == ("gauss", "gauss", ("cpu",), 1)
    assert first.facts.sandbox.says and not first.leaving


def test_a_model_is_inspected_by_the_real_engine(hub, tmp_path):
    blob = FolderStore(tmp_path / "store").adopt(tiny_network(tmp_path / "net.onnx"), name="net.onnx")
    hub.start(*REAL)

    hub.send("host-1t", model=blob)

    assert hub.finished().outcome == "succeeded"
    kinds = [event.type for event in hub.events()]
    assert kinds[0] == "started" and kinds[-1] == "finished"
    assert {"file_hashed", "model_inspected"} <= set(kinds)


def test_events_are_numbered_without_a_gap_and_carry_one_run(hub):
    hub.start(*DEEDS)

    hub.send("talk_and_work")

    hub.finished()
    said = hub.envelopes()
    assert [item.seq for item in said] == list(range(1, len(said) + 1))
    assert len({item.run for item in said}) == 1
    assert {(item.node, item.job, item.attempt) for item in said} == {("host", "job-1", 1)}
    assert [item.event.text for item in said if item.event.type == "log"] == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("deed", ["spin_in_c", "stand_still"])
def test_a_cancelled_job_ends_within_two_seconds_even_in_a_long_kernel(hub, deed):
    worker = hub.start(*DEEDS)
    ticket = hub.send(deed)
    hub.until(lambda: hub.children(worker) and hub.events())
    time.sleep(1)

    hub.redis.set(stop_job_key(ticket.job, ticket.attempt), "cancel")
    asked = time.monotonic()

    assert hub.finished().outcome == "cancelled"
    assert time.monotonic() - asked < 2.0


def test_a_second_run_is_stopped_by_its_own_key(hub):
    hub.start(*DEEDS)
    hub.send("count_to_the_stop")
    run = hub.runs_child().run

    hub.redis.set(stop_run_key(run), "stop")

    assert hub.finished().outcome == "cancelled"


def test_a_ticket_whose_job_was_cancelled_meanwhile_is_not_begun(hub):
    ticket = hub.send("count_to_the_stop")
    hub.redis.set(stop_job_key(ticket.job, ticket.attempt), "cancel")

    hub.start(*DEEDS)

    assert hub.finished().outcome == "cancelled"
    assert [event.type for event in hub.events()] == ["started", "finished"]


def test_a_worker_asked_to_leave_hands_its_job_back_and_says_goodbye(hub):
    worker = hub.start(*DEEDS)
    hub.send("spin_in_c")
    hub.until(lambda: hub.events())
    time.sleep(1)
    children = hub.children(worker)

    worker.send_signal(signal.SIGTERM)
    asked = time.monotonic()

    assert worker.wait(8) == 0
    assert time.monotonic() - asked < 5
    assert hub.finished().outcome == "requeued"
    assert (hub.beats()[-1].leaving, hub.beats()[-1].runs) == (True, ())
    assert children and not any(alive(pid) for pid in children)


def test_a_killed_worker_takes_its_children_along_and_its_successor_says_it_is_new(hub):
    worker = hub.start(*DEEDS)
    hub.send("spin_in_c")
    hub.until(lambda: hub.events())
    hub.until(lambda: len(hub.children(worker)) == 2)
    children, before = hub.children(worker), hub.beats()[-1]

    worker.kill()
    worker.wait()

    hub.until(lambda: not any(alive(pid) for pid in children), seconds=3)
    hub.start(*DEEDS)
    after = hub.until(lambda: [beat for beat in hub.beats() if beat.start != before.start])[0]
    assert (after.node, after.runs) == (before.node, ())
    jobs = list((hub.folder / "scratch" / "jobs").iterdir())
    assert len(jobs) == 1 and not list(jobs[0].glob("job-1*"))


def test_a_child_killed_by_an_outsider_is_a_lost_attempt(hub):
    worker = hub.start(*DEEDS)
    hub.send("count_to_the_stop")
    hub.runs_child()
    oldest = min(hub.children(worker))

    os.kill(oldest, signal.SIGKILL)

    assert hub.finished().outcome == "lost"


def test_the_worker_outlives_what_its_children_do(hub):
    worker = hub.start(*DEEDS)

    deeds = {"touch_nothing": "child.crashed", "balloon": "", "flood_events": "limits.output", "yours": "model.picture"}
    for deed in deeds:
        hub.send(deed, limits={"memory_bytes": 1 << 30, "wall_seconds": 10})

    for attempt, code in enumerate(deeds.values(), start=1):
        ended = hub.finished(attempt)
        assert (ended.outcome, ended.problem.code) == ("failed", code or "limits.memory")
    assert worker.poll() is None


def test_a_ticket_it_does_not_understand_fails_with_a_reason(hub):
    hub.start(*DEEDS)

    hub.send_raw({"job": "job-1", "attempt": 1, "colour": "blue"})

    assert hub.finished().problem.code == "worker.unreadable-ticket"
    assert [event.type for event in hub.events()] == ["started", "finished"]


@pytest.mark.parametrize("body", ["nonsense", 7, None, {"attempt": 1}])
def test_a_ticket_without_a_job_is_dropped_and_the_next_one_taken(hub, body):
    hub.start(*DEEDS)

    hub.send_raw(body)
    hub.send("talk_and_work")

    assert hub.finished().outcome == "succeeded"


def test_no_event_is_lost_while_the_server_is_away(hub, valkey):
    hub.start(*DEEDS)
    hub.send("talk_for_long")
    hub.runs_child()

    assert valkey.process is not None
    valkey.process.kill()
    valkey.process.wait()
    time.sleep(1.5)
    valkey.process = subprocess.Popen(valkey.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def is_back() -> bool:
        try:
            return bool(hub.redis.ping())
        except redis.RedisError:
            return False

    hub.until(is_back)
    assert hub.finished().outcome == "succeeded"
    numbers = list(dict.fromkeys(item.seq for item in hub.envelopes()))
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    said = [item.event.text for item in hub.envelopes() if item.event.type == "log"]
    assert list(dict.fromkeys(said))[-30:] == [str(number) for number in range(30)][-30:]
    hub.send("talk_and_work")
    assert hub.finished(2).outcome == "succeeded"


def test_a_worker_without_a_broker_says_which_variable_it_wants():
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *REAL], env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "REDIS_URL" in done.stderr and "Traceback" not in done.stderr


def tiny_network(path: Path) -> Path:
    helper = onnx.helper
    weight = onnx.numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", 1, ["batch", 4])],
        [helper.make_tensor_value_info("y", 1, ["batch", 4])],
        [weight],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path
