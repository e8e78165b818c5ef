"""The gate decides on the measured drop."""

import pytest

from compressionhub.jobs.gate import Gate, drop_points
from tests.compressionhub.jobs.conftest import changes, report, unlabelled
from workers.report import MetricDelta


def test_the_point_estimate_decides_and_the_bad_end_is_shown_as_a_risk():
    result = Gate(max_drop_points=1.0).judge(report(drop=0.004, worst=0.012))

    assert result.passed
    assert result.at_risk


def test_strict_takes_the_bad_end_of_the_interval():
    assert not Gate(max_drop_points=1.0, strict=True).judge(report(drop=0.004, worst=0.012)).passed
    assert Gate(max_drop_points=1.2, strict=True).judge(report(drop=0.004, worst=0.0119)).passed


def test_a_larger_drop_fails_with_a_reason():
    result = Gate(max_drop_points=0.3).judge(report(drop=0.004))

    assert not result.passed
    assert len(result.reasons) == 1


def test_a_gain_passes_any_gate():
    assert Gate(max_drop_points=0.0).judge(report(drop=-0.01, worst=-0.001)).passed


@pytest.mark.parametrize(
    ("least", "word", "passed"),
    [
        ("faster", "faster", True), ("faster", "smaller-only", False), ("smaller-only", "faster", True),
        ("smaller-only", "smaller-only", True), ("no-gain", "slower", False), ("slower", None, False),
    ],
)  # fmt: skip
def test_the_verdict_may_be_part_of_the_gate(least, word, passed):
    assert Gate(least_verdict=least).judge(report(word=word)).passed is passed


def test_a_loss_in_points_is_a_hundred_times_the_difference_of_shares():
    delta = MetricDelta(value=-0.0123, low=-0.02, high=0.001, distinguishable=False)

    assert drop_points("accuracy", delta, 0.98) == pytest.approx((1.23, 2.0))


def test_a_rise_of_an_error_is_told_in_percent_of_the_baseline():
    delta = MetricDelta(value=0.5, low=0.1, high=0.8, distinguishable=True)

    assert drop_points("rmse", delta, 10.0) == pytest.approx((5.0, 8.0))


def test_without_a_metric_nothing_passes():
    bare = report().model_copy(update={"delta": report().delta.model_copy(update={"metrics": {}})})

    assert not Gate(max_drop_points=100).judge(bare).passed


def test_without_labels_the_drop_is_bounded_by_the_answers_that_changed():
    result = Gate(max_drop_points=1.0).judge(unlabelled(0.993))

    assert result.passed and result.at_risk
    assert result.findings[0].rule == "At least 99 % of the answers as the baseline's"
    assert not Gate(max_drop_points=1.0, strict=True).judge(unlabelled(0.993)).passed
    assert not Gate(max_drop_points=1.0).judge(unlabelled(0.98)).passed


def test_answers_that_are_no_classes_pass_only_by_an_agreement_that_was_chosen():
    numbers = unlabelled(0.97, classes=())

    refused = Gate(max_drop_points=100).judge(numbers)

    assert not refused.passed and "no least agreement was chosen" in refused.reasons[0]
    assert Gate(least_agreement=95).judge(numbers).passed


def test_a_least_agreement_holds_beside_the_drop_where_there_are_labels():
    labelled = report().model_copy(update={"changes": changes(0.96)})

    assert Gate(least_agreement=95).judge(labelled).passed
    assert not Gate(least_agreement=97).judge(labelled).passed
    assert not Gate(least_agreement=97).judge(report()).passed
