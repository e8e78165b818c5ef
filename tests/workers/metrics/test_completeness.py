"""Every metric in the folder says what it is and keeps its promises."""

import numpy as np
import pytest

from workers.contract import Contract, InputSpec, OutputSpec, Task
from workers.metric import for_contract, metrics

NAMES = sorted(metrics())


def test_the_metrics_of_the_report_are_there():
    assert {"accuracy", "macro_f1", "rmse", "auc", "ap", "mean_iou", "mrr", "perplexity"} <= set(NAMES)
    assert {"recall_at_1", "recall_at_5", "recall_at_10"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_has_title_unit_source_tasks_and_a_sentence(name):
    kind = metrics()[name]

    assert kind.name == name == kind.__module__.rpartition(".")[2]
    assert kind.about.title and kind.about.title != name
    assert kind.about.unit in ("share", "target", "tokens")
    assert any(character.isdigit() for character in kind.about.source), "a source has a year"
    assert kind.about.tasks <= set(Task) and kind.about.tasks
    assert (kind.__doc__ or "").strip()


def answers(name: str, n: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outputs before, outputs after, and labels, in the form metrics take."""
    about, rng = metrics()[name].about, np.random.default_rng(n)
    if Task.EMBEDDING in about.tasks:
        labels = np.stack([np.repeat(np.arange(n), 2), np.tile([0, 1], n)], axis=1)
        vectors = np.repeat(rng.normal(size=(n, 8)), 2, axis=0)
        return vectors + rng.normal(0, 0.3, vectors.shape), vectors + rng.normal(0, 1.5, vectors.shape), labels
    if Task.CAUSAL_LM in about.tasks:
        losses = rng.exponential(1.0, size=(n, 9))
        return losses, losses + rng.exponential(0.5, size=(n, 9)), rng.integers(0, 50, size=(n, 10))
    if about.unit == "target":
        labels = rng.normal(size=n)
        return labels + rng.normal(0, 0.1, n), labels + rng.normal(0, 0.5, n), labels
    labels = rng.integers(0, 4, n)
    sure = 4 * np.eye(4)[labels]
    return sure + rng.normal(0, 1, (n, 4)), sure + rng.normal(0, 2.5, (n, 4)), labels


@pytest.mark.parametrize("name", NAMES)
def test_the_value_lies_in_its_interval_and_a_difference_is_after_minus_before(name):
    metric, (before, after, labels) = metrics()[name](), answers(name)

    first, second = metric.measure(before, labels, seed=1), metric.measure(after, labels, seed=1)
    delta = metric.compare(before, after, labels, seed=1)

    assert first.low <= first.value <= first.high and first.n == 200
    assert delta.value == pytest.approx(second.value - first.value)
    assert delta.low <= delta.value <= delta.high
    assert delta.distinguishable
    assert (delta.value < 0) == metric.about.higher_is_better  # the second network is the worse one


@pytest.mark.parametrize("name", NAMES)
def test_a_network_does_not_differ_from_itself(name):
    metric, (before, _, labels) = metrics()[name](), answers(name)

    delta = metric.compare(before, before, labels, seed=1)

    assert delta.value == 0 and not delta.distinguishable


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_interval(name):
    metric, (before, _, labels) = metrics()[name](), answers(name)

    assert metric.measure(before, labels, seed=9) == metric.measure(before, labels, seed=9)


def test_the_headline_metric_comes_first():
    spec = {"inputs": (InputSpec(name="x", shape=(4,)),), "outputs": (OutputSpec(name="y"),)}

    assert for_contract(Contract(task=Task.CLASSIFICATION, **spec))[0].name == "accuracy"
    assert for_contract(Contract(task=Task.REGRESSION, **spec))[0].name == "rmse"
    assert for_contract(Contract(task=Task.OTHER, **spec)) == ()


def test_the_headline_is_the_one_the_contract_names_and_mean_iou_per_pixel():
    def first(**changes) -> str:
        output = OutputSpec(name="y", per=changes.pop("per", "sample"))
        return for_contract(Contract(task=Task.CLASSIFICATION, inputs=(), outputs=(output,), **changes))[0].name

    assert first(headline="ap") == "ap"
    assert first(headline="rmse") == "accuracy"  # no metric of this task
    assert first(per="pixel") == "mean_iou"
    assert first(per="frame") == "accuracy"
