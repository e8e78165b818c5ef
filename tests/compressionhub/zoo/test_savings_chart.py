from types import SimpleNamespace

import pytest

from compressionhub.zoo import savings_chart
from tests.compressionhub.jobs.conftest import report


def entry(model: str, past_tokens: int | None = None) -> SimpleNamespace:
    before, after = report().baseline, report().result
    return SimpleNamespace(
        model=model, size_before=before.size_bytes, size_after=after.size_bytes,
        p50_before_ms=before.latency["1"].p50_ms, p50_after_ms=after.latency["1"].p50_ms,
        past_tokens=past_tokens,
    )  # fmt: skip


def test_each_model_has_its_baseline_above_its_variant_on_scales_from_zero():
    option = savings_chart.before_and_after([entry("digits"), entry("speech")])  # type: ignore[list-item]

    bars = [(one["name"], one["xAxisIndex"], one["data"]) for one in option["series"]]
    assert bars == [
        ("baseline", 0, [1_400_000, 1_400_000]),
        ("variant", 0, [360_000, 360_000]),
        ("baseline", 1, [0.2, 0.2]),
        ("variant", 1, [0.1, 0.1]),
    ]
    assert option["yAxis"][0]["data"] == ["digits", "speech"]
    assert [axis["min"] for axis in option["xAxis"]] == [0, 0]


@pytest.mark.parametrize(
    ("past_tokens", "said"),
    [
        ((None, None), "Latency, batch 1"),
        ((64, 64), "Next token, batch 1"),
        ((None, 64), "Latency or next token, batch 1"),
    ],
)
def test_the_heading_says_what_was_timed(past_tokens, said):
    option = savings_chart.before_and_after([entry("a", past_tokens[0]), entry("b", past_tokens[1])])  # type: ignore[list-item]

    assert [each["text"] for each in option["title"]] == ["File", said]


def test_the_label_says_the_same_in_words():
    assert savings_chart.label([entry("digits")]) == "digits: 1.4 MB to 360 kB, 0.200 ms to 0.100 ms"  # type: ignore[list-item]


def test_the_height_grows_with_the_models_to_a_limit():
    assert [savings_chart.height(models) for models in (1, 2, 4, 50)] == [150, 200, 260, 380]
