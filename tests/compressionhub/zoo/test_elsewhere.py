"""What the pages say of a device that was not here: three answers, never mixed with what was measured."""

import pytest
from django.urls import reverse

from tests.compressionhub.zoo.conftest import report
from workers.report import (
    AccuracyThere,
    Band,
    Emulation,
    Interval,
    MemoryTrial,
    MetricDelta,
    Predicted,
    Report,
    SameAnswers,
    Trials,
)  # fmt: skip

pytestmark = pytest.mark.django_db
FITS = MemoryTrial(fits=True, cap_bytes=8 << 30, peak_bytes=61_000_000, file_bytes=48_000_000, means="cgroup v2")


def band(value: float, grade: str = "C") -> Band:
    return Band(value=value, low=value * 0.8, high=value * 1.3, grade=grade)


def emulation(**changes: object) -> Emulation:
    told = {
        "device": "rpi5",
        "title": "Raspberry Pi 5",
        "threads": 4,
        "fits": Trials(baseline=FITS, result=FITS),
        "answers": SameAnswers(same=True, samples=8, identical=True, largest_difference=0.0, means="qemu-aarch64"),
        "predicted": Predicted(baseline=band(20.0), result=band(16.0), ratio=band(1.25), notes=("calibrated on ncnn",)),
    }
    return Emulation.model_validate(told | changes)


def with_emulation(found: Emulation) -> dict:
    return report().model_copy(update={"emulation": found}).model_dump(mode="json")


@pytest.fixture
def job_page(client, bob, finished):
    client.force_login(bob)

    def get(found: Emulation) -> str:
        job = finished()
        job.report = with_emulation(found)
        job.save()
        return client.get(job.get_absolute_url()).content.decode()

    return get


def test_the_three_answers_stand_apart_from_the_measured_latency(job_page):
    page = job_page(emulation())

    for words in ("Does it fit?", "61.0 MB at most", "Same answers?", "bit for bit, on 8 test samples", "How fast?"):
        assert words in page
    assert "20.0 ms" in page
    assert "for Raspberry Pi 5, a speed-up of 1.25× (1.00× to 1.62×, class C) is predicted" in page
    assert "not on this device" in page
    assert "No emulated or throttled run gives a latency." in page


def test_what_is_not_known_says_why(job_page):
    not_tried = MemoryTrial(fits=None, cap_bytes=320_000, why="A board that runs tflite-micro.")
    page = job_page(
        emulation(
            fits=Trials(baseline=not_tried, result=not_tried),
            answers=SameAnswers(same=None, why="This worker has no qemu-aarch64."),
            predicted=Predicted(why="No published times are fitted. Measure it there, or upload a latency file."),
        )
    )

    for words in ("runs tflite-micro", "no qemu-aarch64", "upload a latency file"):
        assert words in page
    assert "20.0 ms" not in page


def test_a_network_too_large_for_the_device_does_not_fit(job_page):
    small = FITS.model_copy(update={"fits": False, "why": "It needs more memory than the device has."})

    page = job_page(emulation(fits=Trials(baseline=small, result=FITS)))

    assert "does not fit" in page
    assert "needs more memory than the device has" in page


def test_accuracy_without_vnni_stands_beside_the_one_here(job_page):
    here, there = (Interval(value=value, low=value - 0.01, high=value + 0.01, n=397) for value in (0.976, 0.91))
    change = MetricDelta(value=-0.066, low=-0.09, high=-0.04, distinguishable=True)

    page = job_page(
        emulation(accuracy=AccuracyThere(pairs_at_risk=9, metric="accuracy", here=here, there=there, change=change))
    )

    assert "91.00" in page
    assert "more than noise" in page


def test_an_entry_says_on_which_profiles_it_was_validated(client, bob, finished, adam):
    from compressionhub.zoo import actions

    job = finished()
    job.report = with_emulation(emulation())
    job.save()
    entry = actions.publish(job=job, by=adam, name="digits-edge", summary="")
    client.force_login(bob)

    page = client.get(reverse("zoo:entry", args=[entry.pk])).content.decode()

    assert "<dt>Validated on</dt><dd>host-1t, rpi5</dd>" in page
    assert "Does it fit?" in page


@pytest.mark.parametrize(
    ("changes", "valid"),
    [
        ({}, True),
        ({"answers": SameAnswers(same=None, why="no qemu")}, True),
        ({"answers": SameAnswers(same=False)}, False),
        ({"fits": Trials(baseline=FITS, result=FITS.model_copy(update={"fits": None}))}, False),
    ],
)
def test_a_profile_counts_as_validated_where_the_artifact_ran_and_did_not_answer_otherwise(changes, valid):
    assert emulation(**changes).is_validated is valid


def test_a_report_with_an_emulation_survives_its_way_through_json():
    made = Report.model_validate(with_emulation(emulation()))

    assert made.emulation == emulation()
    assert '"class":"C"' in made.model_dump_json()
