"""Every word of the verdict, and the sentences that give its reasons."""

import pytest

from workers.evaluation import LatencyStudy, verdict
from workers.report import Latency, Ratio

STEADY = Latency(p50_ms=1, p95_ms=2, p99_ms=3)
FASTER, SLOWER = (2.0, 1.9, 2.1), (0.8, 0.75, 0.9)
SAME, UNSURE = (1.0, 0.99, 1.01), (1.2, 1.0, 1.4)


def study(first, second=SAME, *, noisy: tuple[str, ...] = ()) -> LatencyStudy:
    ratios = {"1": first, "32": second}
    return LatencyStudy(
        baseline=dict.fromkeys(ratios, STEADY),
        result=dict.fromkeys(ratios, STEADY),
        speedup={key: Ratio(value=value, low=low, high=high) for key, (value, low, high) in ratios.items()},
        noise=dict.fromkeys(ratios, 1.08 if noisy else 1.0),
        rounds=dict.fromkeys(ratios, 40),
        attempts=dict.fromkeys(ratios, 4 if noisy else 1),
        noisy=noisy,
    )


def judge(first, second=SAME, *, size: int = 1000, zipped: int = 1000, usual: int = 1, noisy: tuple[str, ...] = ()):
    return verdict(
        study(first, second, noisy=noisy),
        baseline_bytes=1000,
        result_bytes=size,
        baseline_zip=1000,
        result_zip=zipped,
        usual_batch=usual,
    )


@pytest.mark.parametrize(
    ("speedup", "size", "word", "batch"),
    [
        (FASTER, 1000, "faster", "faster"),
        (FASTER, 250, "faster", "faster"),
        (FASTER, 2000, "faster", "faster"),
        (SLOWER, 1000, "slower", "slower"),
        (SLOWER, 250, "slower", "slower"),
        (SAME, 250, "smaller-only", "not-faster"),
        (SAME, 950, "smaller-only", "not-faster"),
        (SAME, 951, "no-gain", "not-faster"),
        (UNSURE, 250, "smaller-only", "not-faster"),
        (UNSURE, 1000, "no-gain", "not-faster"),
        ((1.06, 1.051, 1.07), 1000, "faster", "faster"),
        ((1.06, 1.05, 1.07), 1000, "no-gain", "not-faster"),
        ((0.94, 0.93, 0.949), 1000, "slower", "slower"),
        ((0.94, 0.93, 0.95), 1000, "no-gain", "not-faster"),
    ],
)
def test_the_word_follows_the_interval_and_the_file_size(speedup, size, word, batch):
    found = judge(speedup, size=size)

    assert (found.word, found.batches["1"]) == (word, batch)


@pytest.mark.parametrize(("usual", "word"), [(1, "slower"), (8, "slower"), (32, "faster"), (64, "faster")])
def test_the_one_word_is_for_the_usual_batch_or_the_nearest_below(usual, word):
    found = judge(SLOWER, FASTER, usual=usual)

    assert found.word == word
    assert found.batches == {"1": "slower", "32": "faster"}


def test_the_reasons_begin_with_the_usual_batch():
    assert "batch 32" in judge(SLOWER, FASTER, usual=32).reasons[0]
    assert "batch 1 " in judge(SLOWER, FASTER, usual=1).reasons[0]


def test_a_smaller_zip_alone_is_smaller_to_ship_and_no_gain():
    found = judge(SAME, size=1000, zipped=600)

    assert found.word == "no-gain"
    assert found.reasons[-1] == "Smaller to ship: compressed, the file is 40.0 % smaller, but as it is used it is not."


def test_a_noisy_host_gets_no_word_but_the_reason():
    found = judge(FASTER, FASTER, size=250, noisy=("1",))

    assert found.word is None
    assert found.batches == {"1": None, "32": "faster"}
    assert "too noisy to judge batch 1" in found.reasons[0] and "1.08 instead of 1.00" in found.reasons[0]


def test_noise_at_another_batch_leaves_the_word_standing():
    found = judge(FASTER, FASTER, noisy=("32",))

    assert found.word == "faster"
    assert found.batches["32"] is None


@pytest.mark.parametrize(
    ("speedup", "size", "said"),
    [
        (FASTER, 250, "At batch 1 it runs 2.00× as fast as the baseline (95 % interval 1.90 to 2.10), beyond"),
        (SLOWER, 250, "The file is 75.0 % smaller all the same."),
        (SAME, 250, "The file is 75.0 % smaller."),
        (SLOWER, 1000, "(95 % interval 0.75 to 0.90): slower, beyond the 5 % that counts."),
        (SAME, 1000, "(95 % interval 0.99 to 1.01), the same within 5 %."),
        (UNSURE, 1000, "not shown to be faster, as the interval begins below 1.05"),
        ((0.9, 0.8, 1.0), 1000, "not shown to be slower, as the interval ends above 0.95"),
        ((1.0, 0.8, 1.3), 1000, "too wide to say more"),
        (SAME, 1000, "The file is not smaller by the 5 % that counts."),
        (SAME, 1500, "The file is 50.0 % larger."),
    ],
)
def test_reasons_are_whole_sentences_with_their_figures(speedup, size, said):
    reasons = judge(speedup, size=size).reasons

    assert said in " ".join(reasons)
    assert all(reason[0].isupper() and reason.endswith(".") for reason in reasons)
