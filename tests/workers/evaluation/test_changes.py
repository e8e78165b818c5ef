"""What changed between two networks, against counts made by hand and against scikit-learn."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from tests.workers.evaluation.networks import contract_for
from workers.contract import Contract, OutputSpec, Task
from workers.evaluation import Predictions, changes
from workers.numerics.intervals import wilson
from workers.numerics.neighbours import nearest

NAMES = ("cat", "dog", "eel")


def made(outputs, labels=None, first_row: int = 100) -> Predictions:
    outputs = np.asarray(outputs, np.float32)
    return Predictions(outputs, labels, np.arange(first_row, first_row + len(outputs)))


def saying(*classes: int) -> np.ndarray:
    return np.eye(3)[list(classes)]


def dense(per: str) -> Contract:
    plain = contract_for()
    return plain.model_copy(update={"outputs": (OutputSpec(name="y", meaning="logits", per=per),)})


def test_flips_are_counted_and_listed_broken_ones_first():
    labels = np.array([0, 0, 1, 2, 2])

    found = changes(
        made(saying(0, 1, 0, 2, 0), labels), made(saying(0, 0, 2, 1, 0), labels), contract_for(), classes=NAMES, seed=0
    )

    assert (found.compared, found.broken, found.fixed) == (5, 1, 1)
    assert (found.agreement.low, found.agreement.high) == wilson(2, 5)
    assert [(one.row, one.before, one.after, one.label) for one in found.samples] == [
        (103, "eel", "dog", "eel"),
        (101, "dog", "cat", "cat"),
        (102, "cat", "eel", "dog"),
    ]
    assert [(one.name, one.before, one.after, one.n) for one in found.classes] == [
        ("cat", 0.5, 1.0, 2), ("dog", 0.0, 0.0, 1), ("eel", 0.5, 0.0, 2),
    ]  # fmt: skip


def test_without_labels_classes_shift_by_how_often_they_are_named():
    found = changes(made(saying(0, 0, 1, 1)), made(saying(0, 1, 1, 1)), contract_for(), classes=NAMES, seed=0)

    assert found.broken is None and found.fixed is None
    assert found.agreement.value == 0.75
    assert [(one.name, one.before, one.after, one.n) for one in found.classes] == [
        ("cat", 0.5, 0.25, 4),
        ("dog", 0.5, 0.75, 4),
    ]
    assert [one.label for one in found.samples] == [""]


def test_an_answer_that_is_no_number_is_a_changed_answer():
    after = saying(0, 1).astype(np.float32)
    after[1, 0] = np.nan

    found = changes(made(saying(0, 1)), made(after), contract_for(), seed=0)

    assert found.samples[0].after == "no answer" and found.agreement.value == 0.5
    assert found.distance.value == pytest.approx(0.5)


def test_the_list_holds_two_hundred_rows_and_the_count_all():
    labels = np.zeros(500, int)

    found = changes(made(saying(*[0] * 500), labels), made(saying(*[1] * 500), labels), contract_for(), seed=0)

    assert len(found.samples) == 200 and found.broken == 500


def test_numbers_agree_within_a_twentieth_of_their_spread():
    before = np.linspace(-1, 1, 41)[:, None]
    after = before.copy()
    after[3] += 0.049 * before.std()
    after[5] += 0.051 * before.std()
    after[9] -= 3.0

    found = changes(made(before), made(after), contract_for(Task.REGRESSION, "values"), seed=0)

    assert found.agreement.value == 39 / 41 and found.broken is None and not found.classes
    assert [one.row for one in found.samples] == [109, 105]


def test_distance_is_relative_to_the_length_of_the_outputs_with_an_interval_around_it():
    rng = np.random.default_rng(0)
    before = rng.normal(size=(400, 8)).astype(np.float32)
    after = before + 0.1 * rng.normal(size=before.shape).astype(np.float32)

    found = changes(made(before), made(after), contract_for(Task.REGRESSION, "values"), seed=0).distance

    moved = [np.linalg.norm(b - a) for a, b in zip(before, after, strict=True)]
    length = np.sqrt(np.mean([np.linalg.norm(a) ** 2 for a in before]))
    assert found.value == pytest.approx(np.mean(moved) / length, rel=1e-5)
    error = np.std(moved) / length / 20  # of the mean of 400, leaving out that of the length
    assert error < (found.high - found.low) / 2 < 4 * error
    assert found.low < found.value < found.high


def test_embeddings_agree_when_the_nearest_other_sample_is_the_same():
    rng = np.random.default_rng(3)
    before = rng.normal(size=(700, 6))
    after = before + 0.2 * rng.normal(size=before.shape)

    found = changes(made(before), made(after), contract_for(Task.EMBEDDING, "embedding"), seed=0)

    was, now = (
        NearestNeighbors(n_neighbors=2, metric="cosine").fit(x).kneighbors(x, return_distance=False)[:, 1]
        for x in (before, after)
    )
    np.testing.assert_array_equal(nearest(before), was)
    assert found.agreement.value == np.mean(was == now)
    first = int(np.flatnonzero(was != now)[0])
    assert found.samples[0].row == 100 + first
    assert found.samples[0].before == f"nearest: row {100 + was[first]}"


def test_queries_are_held_to_the_place_at_which_their_document_comes():
    rng = np.random.default_rng(5)
    documents = rng.normal(size=(60, 8))
    labels = np.stack([np.repeat(np.arange(60), 2), np.tile([0, 1], 60)], axis=1)

    def texts(noise: float) -> np.ndarray:
        queries = documents + noise * rng.normal(size=documents.shape)
        return np.stack([queries, documents], axis=1).reshape(120, 8)

    def places(vectors: np.ndarray) -> list[int]:
        near = NearestNeighbors(n_neighbors=60, metric="cosine").fit(vectors[1::2])
        return [list(row).index(at) + 1 for at, row in enumerate(near.kneighbors(vectors[0::2], return_distance=False))]

    before, after = texts(0.7), texts(1.0)
    found = changes(made(before, labels), made(after, labels), contract_for(Task.EMBEDDING, "embedding"), seed=0)

    was, now = np.array(places(before.astype(np.float32))), np.array(places(after.astype(np.float32)))
    assert found.compared == 60 and found.agreement.value == np.mean(was == now)
    assert (found.broken, found.fixed) == (np.sum((was == 1) & (now > 1)), np.sum((was > 1) & (now == 1)))
    assert found.broken and found.fixed
    at = (found.samples[0].row - 100) // 2
    assert found.samples[0].before == "its document comes first"
    assert found.samples[0].after == f"its document comes at place {now[at]}"
    assert len(found.samples) == np.sum(was != now)


def test_frames_are_counted_one_by_one_and_those_without_a_label_not_at_all():
    before = np.array([[0, 1, 1], [2, 2, 0]])
    after = np.array([[0, 1, 0], [2, 1, 1]])
    labels = np.array([[0, 1, 1], [2, 2, -1]])

    found = changes(
        made(np.eye(3)[before], labels), made(np.eye(3)[after], labels), dense("frame"), classes=NAMES, seed=0
    )

    assert (found.compared, found.agreement.value, found.broken) == (5, 0.6, 2)
    assert found.samples[0].before == "dog (1 of 3)" and found.samples[0].after == "cat (1 of 3)"


def test_agreement_of_frames_that_change_together_is_less_certain_than_of_as_many_samples():
    rng = np.random.default_rng(0)
    whole = np.repeat(rng.random((50, 1)) < 0.1, 40, axis=1)  # a sample changes in all of its frames or in none
    before, after = np.zeros((50, 40), int), whole.astype(int)

    found = changes(made(np.eye(3)[before]), made(np.eye(3)[after]), dense("frame"), seed=0).agreement

    low, high = wilson(float(np.sum(~whole[:, 0])), 50)
    assert found.high - found.low == pytest.approx(high - low, rel=0.15)


def test_a_text_changes_by_its_mean_loss_and_its_tokens_are_no_labels():
    contract = Contract(task=Task.CAUSAL_LM, inputs=(), outputs=(OutputSpec(name="logits", meaning="logits"),))
    before = made([[2.0, 4.0, 0.0], [3.0, 3.0, 3.0]], labels=np.ones((2, 4), np.int64))  # the first text ends early
    after = made([[2.0, 6.0, 0.0], [3.0, 3.0, 3.01]], labels=before.labels)

    found = changes(before, after, contract, seed=0)

    assert found.agreement.value == 0.5 and found.broken is None
    (sample,) = found.samples
    assert (sample.row, sample.before, sample.after, sample.label) == (100, "3 a token", "4 a token", "")


def test_other_rows_cannot_be_compared():
    with pytest.raises(ValueError, match="same rows"):
        changes(made(saying(0)), made(saying(0), first_row=7), contract_for(), seed=0)
