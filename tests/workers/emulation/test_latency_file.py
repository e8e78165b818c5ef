"""A latency file comes from outside: what is not exactly as expected is refused, with what was found."""

import json

import pytest

from workers.device import profile
from workers.emulation import Ask, predict
from workers.emulation.latency_file import MOST_BYTES, read, require_from
from workers.errors import YoursToFix

LAYER = {"kind": "c1", "count": 3, "macs": 5e6, "weights": 1e4, "act_in": 1e5, "act_out": 1e5}


def a_file(**changes) -> bytes:
    said = {
        "format": "compressionhub-latency", "version": 1, "device": "rpi5", "machine": "aarch64",
        "processor": "", "system": "Linux", "runtime": "onnxruntime", "runtime_version": "1.31.1", "threads": 4,
        "precision": "float32", "model_sha256": "a" * 64, "batch": 1, "runs": 1000, "p50_ms": 2.0, "p95_ms": 2.4,
        "p99_ms": 3.0, "low_ms": 1.95, "high_ms": 2.1, "layers": [LAYER], "measured_at": "2026-11-28T10:00:00+00:00",
    }  # fmt: skip
    return json.dumps(said | changes).encode()


def test_the_network_it_times_is_answered_with_its_own_time():
    found = read(a_file())
    ask = Ask(layers=found.layers, sha256="a" * 64, runtime="onnxruntime", anchors=(found.anchor("Ann's file"),))

    answer = predict(ask, profile("rpi5"))

    assert (answer.latency_ms.value, answer.latency_ms.low, answer.latency_ms.high) == (2.0, 1.95, 2.1)
    assert (answer.latency_ms.grade, answer.source) == ("A", "Ann's file")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file"),
        (b"not json", "the file"),
        (b"[" * 15_000, "the file"),
        (b"[]", "the file"),
        (a_file(p50_ms="NaN"), "p50_ms"),
        (a_file().replace(b"2.0,", b"NaN,", 1), "p50_ms"),
        (a_file(p50_ms=float("inf")), "p50_ms"),
        (a_file(p50_ms=-1), "p50_ms"),
        (a_file(p50_ms=2.5), "p50_ms <= p95_ms"),
        (a_file(low_ms=2.05), "low_ms <= p50_ms"),
        (a_file(runs=3), "runs"),
        (a_file(batch=32), "batch"),
        (a_file(threads=0), "threads"),
        (a_file(version=2), "version"),
        (a_file(format="other"), "format"),
        (a_file(model_sha256="A" * 64), "model_sha256"),
        (a_file(device="../../etc"), "device"),
        (a_file(device="<script>"), "device"),
        (a_file(layers=[]), "layers"),
        (a_file(layers=[LAYER | {"macs": 1e300}]), "macs"),
        (a_file(layers=[LAYER | {"kind": "magic"}]), "kind"),
        (a_file(surprise=1), "surprise"),
        (a_file(system="x" * 300), "system"),
        (b" " * (MOST_BYTES + 1), "KiB"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value,
)
def test_what_is_not_as_expected_is_refused_with_what_was_found(content, said):
    with pytest.raises(YoursToFix, match=r"^Expected .* found ") as caught:
        read(content)

    assert said in caught.value.message
    assert "--bench" in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"device": "rpi4"}, "times of rpi5"), ({"machine": "x86_64"}, "made on aarch64"), ({"threads": 1}, "4 threads")],
)
def test_a_file_of_another_device_is_refused(changes, said):
    with pytest.raises(YoursToFix, match=said):
        require_from(read(a_file(**changes)), profile("rpi5"))


def test_other_spellings_of_a_machine_are_known():
    require_from(read(a_file(machine="arm64")), profile("rpi5"))
