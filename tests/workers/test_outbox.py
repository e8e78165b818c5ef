"""What a worker says arrives in order and whole, whatever happens to the line."""

import threading
import time
from collections.abc import Sequence

import pytest

from workers.device import host
from workers.events import Beat, Envelope, Event, Log, Message, Progress, StepFinished
from workers.facts import NodeFacts, SandboxFacts
from workers.outbox import Outbox, RunVoice

SANDBOX = SandboxFacts(level="minimal")
FACTS = NodeFacts(
    name="n", queues=("cpu",), slots=1, cores=2, memory_bytes=1, device=host().key, sandbox=SANDBOX
)  # fmt: skip


class Line:
    """A line to the hub that can be cut, also in the middle of a batch."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.cut = threading.Event()
        self.lose_after: int | None = None

    def send(self, messages: Sequence[Message]) -> None:
        if self.cut.is_set():
            raise ConnectionError("away")
        if self.lose_after is not None:
            self.heard += messages[: self.lose_after]
            self.lose_after = None
            raise ConnectionError("cut in the middle")
        self.heard += messages

    @property
    def texts(self) -> list[str]:
        return [message.event.text for message in self.heard if isinstance(message, Envelope)]


@pytest.fixture
def line():
    return Line()


@pytest.fixture
def outbox(line):
    made = Outbox(line.send, lambda: Beat(node="n", start="s", facts=FACTS))
    yield made
    line.cut.clear()
    made.close(3)


def said(events: list[Event]) -> tuple[RunVoice, list[Envelope]]:
    heard: list[Envelope] = []
    voice = RunVoice(heard.append, node="n", job="j", attempt=1)
    for event in events:
        voice.emit(event)
    return voice, heard


def step(done: int, *, of: int = 0) -> Progress:
    return Progress(step=of, done=done, total=100)


def test_the_first_thing_said_is_a_beat(line, outbox):
    outbox.start()

    assert within(2, lambda: line.heard)
    assert isinstance(line.heard[0], Beat)


def test_nothing_is_lost_or_reordered_while_the_line_is_cut(line, outbox):
    line.cut.set()
    outbox.start()
    voice = RunVoice(outbox.put, node="n", job="j", attempt=1)
    for number in range(500):
        voice.emit(Log(text=str(number)))
    time.sleep(0.3)

    line.cut.clear()

    assert within(5, lambda: len(line.texts) == 500)
    assert line.texts == [str(number) for number in range(500)]
    assert any(isinstance(message, Beat) for message in line.heard)


def test_a_batch_cut_in_the_middle_is_said_again_with_the_same_numbers(line, outbox):
    voice = RunVoice(outbox.put, node="n", job="j", attempt=1)
    for number in range(10):
        voice.emit(Log(text=str(number)))
    line.lose_after = 4
    outbox.start()

    assert within(5, lambda: len(line.texts) >= 14)

    numbers = [message.seq for message in line.heard if isinstance(message, Envelope)]
    assert numbers == [*range(1, 5), *range(1, 11)]


def test_closing_says_everything_and_ends_with_a_beat(line, outbox):
    outbox.start()
    voice = RunVoice(outbox.put, node="n", job="j", attempt=1)
    for number in range(1000):
        voice.emit(Log(text=str(number)))

    assert outbox.close(5)

    assert len(line.texts) == 1000
    assert isinstance(line.heard[-1], Beat)


def test_closing_gives_up_when_the_line_stays_cut(line, outbox):
    line.cut.set()
    outbox.start()
    RunVoice(outbox.put, node="n", job="j", attempt=1).emit(Log(text="x"))

    assert not outbox.close(0.2)


def test_events_of_a_run_are_numbered_from_one():
    voice, heard = said([Log(text="a"), Log(text="b")])

    assert [(item.job, item.attempt, item.run, item.seq) for item in heard] == [
        ("j", 1, voice.run, 1),
        ("j", 1, voice.run, 2),
    ]


def test_progress_is_thinned_and_its_last_value_comes_before_the_next_event():
    end = StepFinished(step=0, technique="tidy", seconds=1.0)

    _, heard = said([*(step(done) for done in range(1, 101)), end])

    assert [getattr(item.event, "done", "end") for item in heard] == [1, 100, "end"]
    assert [item.seq for item in heard] == [1, 2, 3]


def test_progress_of_the_next_step_does_not_swallow_that_of_the_last():
    _, heard = said([step(1), step(50), step(1, of=1)])

    assert [(item.event.step, item.event.done) for item in heard] == [(0, 1), (0, 50), (1, 1)]


def test_progress_is_said_at_most_four_times_a_second():
    heard: list[Envelope] = []
    voice = RunVoice(heard.append, node="n", job="j", attempt=1)
    started = time.monotonic()
    while time.monotonic() - started < 0.9:
        voice.emit(step(1))
        time.sleep(0.005)

    assert 3 <= len(heard) <= 4


def within(seconds: float, claim) -> bool:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if claim():
            return True
        time.sleep(0.02)
    return False
