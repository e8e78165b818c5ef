"""The words and figures of a job's page, against hand-written expectations."""

from types import SimpleNamespace
from uuid import uuid4

import pytest
from django.template.loader import render_to_string

from compressionhub.jobs import shown
from compressionhub.jobs.gate import Gate
from tests.compressionhub.jobs.conftest import report
from workers.report import MetricDelta, Ratio, Verdict, WindowTimes

MINUS = "\u2212"


def with_change(value: float, low: float, high: float, *, distinguishable: bool):
    plain = report()
    change = MetricDelta(value=value, low=low, high=high, distinguishable=distinguishable)
    return plain.model_copy(update={"delta": plain.delta.model_copy(update={"metrics": {"accuracy": change}})})


def with_verdict(word, speedup: float, **sizes):
    plain = report(word=word)
    ratio = Ratio(value=speedup, low=speedup - 0.02, high=speedup + 0.02)
    return plain.model_copy(
        update={
            "delta": plain.delta.model_copy(update={"speedup": {"1": ratio}}),
            "result": plain.result.model_copy(update=sizes),
            "verdict": Verdict(word=word, batches={"1": None}, reasons=("The reason",)),
        }
    )


@pytest.mark.parametrize(
    ("word", "speedup", "sizes", "title"),
    [
        ("faster", 2.5, {"size_bytes": 237_000}, "Faster: 2.50× at batch 1, and 5.9× smaller"),
        ("faster", 1.4, {"size_bytes": 1_400_000}, "Faster: 1.40× at batch 1"),
        ("smaller-only", 1.0, {"size_bytes": 700_000}, "Smaller only: 2.0× smaller, and no faster at batch 1"),
        (
            "slower",
            0.83,
            {"size_bytes": 700_000},
            "Slower: 0.83× of the baseline's speed at batch 1, though 2.0× smaller",
        ),
        (
            "no-gain",
            1.0,
            {"size_bytes": 1_400_000, "zip_bytes": 350_000},
            "No gain in speed or size, but smaller to ship: the zipped file shrinks",
        ),
        ("no-gain", 1.0, {"size_bytes": 1_400_000, "zip_bytes": 700_000}, "No gain in speed or size"),
        (None, 1.0, {}, "Not measured: host too noisy"),
    ],
)
def test_the_title_says_gain_and_its_limit_in_one_breath(word, speedup, sizes, title):
    assert shown.banner(with_verdict(word, speedup, **sizes), None).title == title


def test_a_distinguishable_loss_is_told_with_its_interval_and_the_gate():
    result = with_change(-0.0042, -0.0071, -0.0013, distinguishable=True)

    text = shown.banner(result, Gate(max_drop_points=1.0)).text

    assert text.startswith(
        "Top-1 accuracy falls by 0.42 points (0.13 to 0.71). That is more than noise and within your gate of 1."
    )


def test_a_loss_beyond_the_gate_is_called_so():
    result = with_change(-0.021, -0.03, -0.012, distinguishable=True)

    assert "more than your gate of 1." in shown.banner(result, Gate(max_drop_points=1.0)).text


def test_an_indistinguishable_change_is_within_noise_and_never_a_gain():
    text = shown.banner(with_change(0.0015, -0.004, 0.007, distinguishable=False), Gate()).text

    assert text.startswith("Top-1 accuracy +0.15 points, within noise (397 test samples).")


def test_every_reason_ends_with_one_full_stop():
    assert "The reason. It gave" in shown.banner(with_verdict("no-gain", 1.0), None).text


def test_tiles_show_metric_latency_and_size_beside_the_baseline():
    metric, latency, size = shown.tiles(report(), Gate(max_drop_points=1.0))

    assert (metric.label, metric.value, metric.limit) == ("Top-1 accuracy", "97.60 %", -0.01)
    assert (latency.value, latency.note, latency.speedup) == ("0.100 ms", "baseline 0.200 ms", (2.0, 1.9, 2.1))
    assert (size.value, round(size.ratio, 2)) == ("360 kB", 3.89)


def decoded():
    plain = report()
    sides = {side: getattr(plain, side).model_copy(update={"past_tokens": 64}) for side in ("baseline", "result")}
    times = {side: getattr(plain, side).latency["1"] for side in sides}
    window = WindowTimes(tokens=256, speedup=plain.delta.speedup["1"], **times)
    return plain.model_copy(update={**sides, "window": window})


def test_a_language_model_is_told_by_its_next_token_and_tokens_a_second():
    latency = shown.tiles(decoded(), Gate(max_drop_points=1.0))[1]

    assert latency.label == "Next token, batch 1"
    assert latency.note == "10,000 tokens/s; baseline 0.200 ms, 5,000 tokens/s"


def test_the_table_of_a_language_model_says_what_its_times_are_of():
    page = render_to_string("jobs/_measured_on.html", {"job": SimpleNamespace(report_value=decoded(), pk=uuid4())})

    said = " ".join(page.replace("<", " <").split())
    assert "Next token, batch 1" in said and "after 64 earlier tokens" in said and "Latency, batch" not in said
    assert "10,000 tokens/s" in said and "Whole window, batch 1" in said and "256 tokens at once" in said


def test_a_sparkline_runs_from_edge_to_edge_and_stays_in_its_box():
    drawn = shown.sparkline([0.0, 50.0, 200.0], most=100.0)

    assert drawn["line"] == "M0.0 31.0 L50.0 17.0 L100.0 3.0"
    assert drawn["area"].endswith("L100 34 L0 34Z")


def test_one_value_is_no_line():
    assert shown.sparkline([1.0]) == {}


def test_a_curve_keeps_the_order_of_its_points():
    (curve,) = shown.curve_charts({"loss": [[0.0, 1.0, None, None], [1.0, 0.5, None, None]]})

    assert curve.option["series"][0]["data"] == [[0.0, 1.0], [1.0, 0.5]]
    assert curve.label == "loss: 2 points, last 0.5"
