"""Roles: declared ones are kept, the rest is carved out by seed, and calibration never meets test."""

import numpy as np
import pytest

from tests.material import blobs
from workers import datasets
from workers.contract import Contract, InputSpec, OutputSpec, Task
from workers.datasets import overlap
from workers.datasets.split import take_share
from workers.errors import YoursToFix
from workers.facts import Role
from workers.ticket import DataOptions

CONTRACT = Contract(
    task=Task.CLASSIFICATION,
    inputs=(InputSpec(name="x", shape=(4,), layout="vector"),),
    outputs=(OutputSpec(name="y", meaning="logits"),),
)


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


def rows_of(path, role, *, seed=0, split_seed=0):
    data = datasets.open_data(path, options=DataOptions(split_seed=split_seed), contract=CONTRACT, seed=seed)
    return np.concatenate([batch.rows for batch in data.batches(role, size=64)])


def test_undeclared_rows_are_split_so_that_roles_are_apart_and_complete(tmp_path):
    x, y = blobs(1000, 4, 5)
    path = save(tmp_path / "d.npz", x=x, y=y)

    train, validation, test = (set(rows_of(path, role)) for role in (Role.TRAIN, Role.VALIDATION, Role.TEST))

    assert (len(test), len(validation), len(train)) == (200, 80, 720)
    assert train | validation | test == set(range(1000))
    assert set(rows_of(path, Role.CALIBRATION)) <= train
    assert len(set(rows_of(path, Role.CALIBRATION))) == 512


def test_the_split_keeps_the_share_of_every_class(tmp_path):
    y = np.repeat([0, 1, 2], [700, 250, 50])
    path = save(tmp_path / "d.npz", x=blobs(1000, 4)[0], y=y)

    facts = datasets.inspect(path, options=DataOptions())

    assert facts.roles[Role.TEST].class_counts == {"0": 140, "1": 50, "2": 10}
    assert facts.roles[Role.VALIDATION].class_counts == {"0": 56, "1": 20, "2": 4}


@pytest.mark.parametrize("seed", range(5))
def test_a_stratified_share_has_the_size_asked_for(seed):
    generator = np.random.default_rng(seed)
    classes = generator.integers(0, 7, size=331)

    taken = take_share(np.arange(331), 0.2, classes, np.random.default_rng(seed))

    assert len(taken) == len(set(taken.tolist())) == 66
    for one in range(7):
        assert abs((classes[taken] == one).sum() - 0.2 * (classes == one).sum()) < 1


def test_the_split_is_the_same_every_time_and_follows_its_own_seed_only(tmp_path):
    x, y = blobs(2000, 4, 5)
    path = save(tmp_path / "d.npz", x=x, y=y)

    assert np.array_equal(rows_of(path, Role.TEST), rows_of(path, Role.TEST, seed=9))
    assert not np.array_equal(rows_of(path, Role.TEST), rows_of(path, Role.TEST, split_seed=1))
    assert not np.array_equal(rows_of(path, Role.CALIBRATION), rows_of(path, Role.CALIBRATION, seed=9))


def test_declared_roles_are_kept_and_only_the_missing_ones_carved(tmp_path):
    x, y = blobs(300, 4, 5)
    path = save(tmp_path / "d.npz", x_train=x[:200], y_train=y[:200], x_test=x[200:], y_test=y[200:])

    facts = datasets.inspect(path, options=DataOptions())

    assert {role: (said.rows, said.declared) for role, said in facts.roles.items()} == {
        Role.TRAIN: (180, True),
        Role.CALIBRATION: (180, False),
        Role.VALIDATION: (20, False),
        Role.TEST: (100, True),
    }
    assert set(rows_of(path, Role.TEST)) == set(range(200, 300))


def test_a_dataset_with_test_rows_only_gets_no_other_role(tmp_path):
    x, y = blobs(50, 4, 5)

    facts = datasets.inspect(save(tmp_path / "d.npz", x_test=x, y_test=y), options=DataOptions())

    assert set(facts.roles) == {Role.TEST}


def test_calibration_rows_need_no_labels(tmp_path):
    x, y = blobs(300, 4, 5)
    path = save(
        tmp_path / "d.npz", x_train=x[:200], y_train=y[:200], x_calibration=x[200:250], x_test=x[250:], y_test=y[250:]
    )

    data = datasets.open_data(path, options=DataOptions(), contract=CONTRACT, seed=0)

    assert next(iter(data.batches(Role.CALIBRATION, size=8))).labels is None
    assert next(iter(data.batches(Role.TEST, size=8))).labels is not None
    assert data.facts.roles[Role.CALIBRATION].class_counts == {}


def test_overlaps_agree_with_a_loop_over_all_pairs():
    generator = np.random.default_rng(0)
    fingerprints = generator.integers(0, 40, size=120)
    rows = {Role.TRAIN: np.arange(70), Role.VALIDATION: np.arange(70, 90), Role.TEST: np.arange(90, 120)}

    expected = {
        role: sum(any(fingerprints[a] == fingerprints[b] for b in rows[role]) for a in rows[Role.TEST])
        for role in (Role.TRAIN, Role.VALIDATION)
    }

    assert overlap.count(fingerprints, rows) == expected


def test_fingerprints_are_equal_exactly_where_rows_are(tmp_path):
    x = np.random.default_rng(0).integers(0, 3, size=(200, 4)).astype(np.float32)
    path = save(
        tmp_path / "d.npz", x_train=x[:100], y_train=np.arange(100) % 3, x_test=x[100:], y_test=np.arange(100) % 3
    )

    found = overlap.digests(datasets.open_data(path, options=DataOptions(), contract=CONTRACT, seed=0).raw)

    for row in range(0, 200, 7):
        same = [other for other in range(200) if np.array_equal(x[row], x[other])]
        assert np.flatnonzero(found == found[row]).tolist() == same


def test_a_test_row_among_the_calibration_rows_is_refused(tmp_path):
    x, y = blobs(300, 4, 5)
    path = save(
        tmp_path / "d.npz", x_train=x[:200], y_train=y[:200], x_calibration=x[290:], x_test=x[200:], y_test=y[200:]
    )

    with pytest.raises(YoursToFix, match="found 10") as caught:
        datasets.inspect(path, options=DataOptions())

    assert caught.value.code == "data.calibration-overlaps-test"


def test_carved_calibration_rows_leave_out_doubles_of_test_rows(tmp_path):
    x, y = blobs(300, 4, 5)
    x[:50] = x[200:250]
    path = save(tmp_path / "d.npz", x_train=x[:200], y_train=y[:200], x_test=x[200:], y_test=y[200:])

    facts = datasets.inspect(path, options=DataOptions())

    assert not set(rows_of(path, Role.CALIBRATION)) & set(range(50))
    assert facts.overlaps[Role.CALIBRATION] == 0
    assert facts.overlaps[Role.TRAIN] + facts.overlaps[Role.VALIDATION] == 50
    assert any("also stand in the train rows" in warning for warning in facts.warnings)


@pytest.mark.parametrize(("doubles", "warned"), [(1, False), (2, True)])
def test_more_than_one_percent_shared_with_train_is_a_warning(doubles, warned, tmp_path):
    x, y = blobs(400, 4, 5)
    x[:doubles] = x[250 : 250 + doubles]
    path = save(
        tmp_path / "d.npz",
        x_train=x[:200],
        y_train=y[:200],
        x_validation=x[200:250],
        y_validation=y[200:250],
        x_test=x[250:350],
        y_test=y[250:350],
    )

    facts = datasets.inspect(path, options=DataOptions())

    assert facts.overlaps[Role.TRAIN] == doubles
    assert bool(facts.warnings) is warned


def test_a_limit_takes_a_fair_sample_of_a_file_sorted_by_class(tmp_path):
    y = np.repeat(np.arange(5), 200)
    path = save(tmp_path / "d.npz", x=blobs(1000, 4)[0], y=y)
    data = datasets.open_data(path, options=DataOptions(), contract=CONTRACT, seed=0)

    batches = list(data.batches(Role.TRAIN, size=16, limit=40))

    assert [len(batch) for batch in batches] == [16, 16, 8]
    assert set(np.concatenate([batch.labels for batch in batches]).tolist()) == set(range(5))
